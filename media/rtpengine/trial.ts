/** What a server must be able to do, tried with a call of our own before the first real one. */
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { messageOf, TacetError } from '../../config/errors.ts';
import { encodeAll } from '../prompts/encoded.ts';
import { EngineCall, type FarEnd } from './engine-call.ts';
import { Line } from './line.ts';
import { NgUnanswered, type NgClient } from './ng.ts';

/** The server cannot do what calls need, or its packets do not reach us: it is given none. */
export class ServerUnfit extends TacetError {
  readonly server: string;
  constructor(server: string, lacking: string, costs: string) {
    super(`rtpengine ${server} ${lacking}; ${costs}: calls do not go through it and are not recorded there`);
    this.server = server;
  }
}

const waitMs = 1_000;
const never = new AbortController().signal;
/** 20 ms. */
const oneFrame = encodeAll(new Int16Array(160));

/**
 * Plays one packet to a far end of our own and has it counted, then has the far end send it back and be copied.
 *
 * @throws ServerUnfit
 * @throws NgUnanswered
 */
export async function tryServer(client: NgClient, address: string): Promise<void> {
  await using telephone = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  telephone.bind(0, address);
  await once(telephone, 'listening');
  const copied = Promise.withResolvers<undefined>();
  using line = await Line.open(address, {
    server: await client.address(),
    onCopy: () => copied.resolve(undefined),
    onStranger: () => undefined,
  });
  const at = { address, port: line.port };
  const far: FarEnd = {
    address,
    port: telephone.address().port,
    codec: { name: 'PCMA', payloadType: 8, fmtp: undefined },
    event: undefined,
    direction: 'sendrecv',
  };
  const engine = new EngineCall(
    client,
    `trial-${randomBytes(8).toString('hex')}`,
    { caller: at, agent: at },
    'signalled',
  );
  const attempt = async (lacking: string, costs: string, act: () => Promise<void>): Promise<void> => {
    try {
      await act();
    } catch (error) {
      if (error instanceof NgUnanswered) throw error;
      throw new ServerUnfit(client.name, `${lacking} (${messageOf(error)})`, costs);
    }
  };
  let spoken: Uint8Array = new Uint8Array();
  try {
    await attempt('carries no call', 'nobody can be put through', async () => {
      const anchor = await engine.reserve('caller');
      line.out = await engine.part('caller', far);
      const heard = once(telephone, 'message', { signal: AbortSignal.timeout(waitMs) });
      await line.play(oneFrame, false, { codec: 'PCMA', payloadType: 8, open: () => true }, never);
      [spoken] = (await heard) as [Uint8Array];
      telephone.connect(anchor.port, anchor.address);
      await once(telephone, 'connect');
    });
    await attempt('does not count what is played', 'no announcement can be proven', async () => {
      const { caller } = await engine.counts();
      if (caller.played !== 1 || !caller.hearsLine) throw new TacetError('"query" says otherwise');
    });
    await attempt('gives no copies', 'no key is heard and nothing can be recorded', async () => {
      line.tap = await engine.tap('caller', far);
      telephone.send(spoken);
      await Promise.race([copied.promise, fail(waitMs, 'none came')]);
    });
  } finally {
    await engine.end().catch(() => undefined);
  }
}

async function fail(afterMs: number, problem: string): Promise<never> {
  await setTimeout(afterMs, undefined, { ref: false });
  throw new TacetError(problem);
}
