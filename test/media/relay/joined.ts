/** Two telephones that hear each other through the relay, and what they say and hear, byte by byte. */
import type { CallId } from '../../../config/units.ts';
import type { MediaPlane, MediaSession } from '../../../media/plane.ts';
import { openRelay, type RelayOptions } from '../../../media/relay/relay.ts';
import { freePortRange } from '../../peers/free-port.ts';
import { portOf, telephone, type Telephone } from '../../peers/telephone.ts';

export const call = 'call-1' as CallId;

export interface Joined extends AsyncDisposable {
  plane: MediaPlane;
  session: MediaSession;
  caller: Telephone;
  agent: Telephone;
  /** The relay's ports of both sides. */
  callerPort: number;
  agentPort: number;
}

/** What a telephone says of itself in the place of its own description. */
export type Rewrite = (sdp: string) => string;
const same: Rewrite = (sdp) => sdp;

export async function joined({
  callerSdp = same,
  agentSdp = same,
  ...options
}: Partial<RelayOptions> & { callerSdp?: Rewrite; agentSdp?: Rewrite } = {}): Promise<Joined> {
  const held = new AsyncDisposableStack();
  const address = '127.0.0.1';
  const plane = held.use(openRelay({ address, ports: await freePortRange(40), workers: 1, ...options }));
  const caller = held.use(await telephone(options.outside?.address));
  const agent = held.use(await telephone(options.inside?.address));
  const session = held.use(await plane.open(call));
  const answer = await session.caller.answer(callerSdp(caller.sdp));
  const offer = await session.agent.offer();
  await session.agent.accept(agentSdp(agent.sdp));
  await session.connect();
  const ports = { callerPort: portOf(answer), agentPort: portOf(offer) };
  return { plane, session, caller, agent, ...ports, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

export function fieldsOf(packet: Buffer) {
  return {
    type: packet[1]! & 0x7f,
    marker: packet[1]! >> 7 === 1,
    sequence: packet.readUInt16BE(2),
    timestamp: packet.readUInt32BE(4),
    ssrc: packet.readUInt32BE(8),
    payload: packet.subarray(12),
  };
}

/** A sender report with one report block, a source description and a goodbye (RFC 3550 section 6). */
export function compound(sender: number, reported: number, timestamp: number): Buffer {
  const report = Buffer.alloc(52);
  report.set([0x81, 200, 0, 12]);
  report.writeUInt32BE(sender, 4);
  report.writeUInt32BE(timestamp, 16);
  report.writeUInt32BE(5, 20);
  report.writeUInt32BE(800, 24);
  report.writeUInt32BE(reported, 28);
  const description = Buffer.from('81ca0003' + '00000000' + '0102612d' + '00000000', 'hex');
  description.writeUInt32BE(sender, 4);
  const goodbye = Buffer.from('81cb0001' + '00000000', 'hex');
  goodbye.writeUInt32BE(sender, 4);
  return Buffer.concat([report, description, goodbye]);
}
