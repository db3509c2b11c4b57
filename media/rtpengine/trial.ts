/** What a server must be able to do, tried with a call of our own before the first real one. */
import { once } from 'node:events';
import { createSocket } from 'node:dgram';
import { messageOf, TacetError } from '../../config/errors.ts';
import { EngineCall, type FarEnd } from './engine-call.ts';
import { NgUnanswered, type NgClient } from './ng.ts';
import { randomBytes } from 'node:crypto';

/** The server cannot do what calls need, or its packets do not reach us: it is given none. */
export class ServerUnfit extends TacetError {
  readonly server: string;
  constructor(server: string, lacking: string, costs: string) {
    super(`rtpengine ${server} ${lacking}; ${costs}: calls do not go through it and are not recorded there`);
    this.server = server;
  }
}

const waitMs = 1_000;

/**
 * Plays one packet to a far end of our own and has it counted, then speaks one and has it copied.
 *
 * @throws ServerUnfit
 * @throws NgUnanswered
 */
export async function tryServer(client: NgClient, address: string): Promise<void> {
  await using sockets = new AsyncDisposableStack();
  const socketAt = async () => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    sockets.defer(() => void socket.close());
    socket.bind(0, address);
    await once(socket, 'listening');
    return socket;
  };
  const [line, telephone, other] = [await socketAt(), await socketAt(), await socketAt()];
  const lines = {
    caller: { address, port: line.address().port },
    agent: { address, port: other.address().port },
  };
  const far: FarEnd = {
    address,
    port: telephone.address().port,
    codec: { name: 'PCMA', payloadType: 8, fmtp: undefined },
    event: undefined,
    direction: 'sendrecv',
  };
  const engine = new EngineCall(client, `trial-${randomBytes(8).toString('hex')}`, lines);
  const needs = (lacking: string, costs: string) => async (act: () => Promise<unknown>) => {
    try {
      await act();
    } catch (error) {
      if (error instanceof NgUnanswered) throw error;
      throw new ServerUnfit(client.name, `${lacking} (${messageOf(error)})`, costs);
    }
  };
  const packet = Buffer.alloc(172, 0xd5);
  packet.writeUInt16BE(0x80_08, 0);
  try {
    await needs(
      'carries no call',
      'nobody can be put through',
    )(async () => {
      const anchor = await engine.reserve('caller');
      const out = await engine.part('caller', far);
      const heard = once(telephone, 'message', { signal: AbortSignal.timeout(waitMs) });
      line.send(packet, out.port, out.address);
      await heard;
      telephone.connect(anchor.port, anchor.address);
      await once(telephone, 'connect');
    });
    await needs(
      'does not count what is played',
      'no announcement can be proven',
    )(async () => {
      const { caller } = await engine.counts();
      if (caller.played !== 1 || !caller.hearsLine) throw new TacetError('"query" says otherwise');
    });
    await needs(
      'gives no copies',
      'no key is heard and nothing can be recorded',
    )(async () => {
      const tap = await engine.tap('caller', far);
      const copied = untilFrom(line, tap.port);
      telephone.send(packet);
      await copied;
    });
  } finally {
    await engine.end().catch(() => undefined);
  }
}

async function untilFrom(socket: ReturnType<typeof createSocket>, port: number): Promise<void> {
  const signal = AbortSignal.timeout(waitMs);
  for (;;) {
    const [, from] = (await once(socket, 'message', { signal })) as [Buffer, { port: number }];
    if (from.port === port) return;
  }
}
