/** Tacet's relay in a process of its own, so that a bench weighs it and nothing else. */
import type { CallId } from '../../config/units.ts';
import { openRelay } from '../../media/relay/relay.ts';
import type { MediaSession } from '../../media/plane.ts';

export type Order = { do: 'anchor'; ports: number[] };
export type Answer = { targets: number[] };

const plane = openRelay({ address: '127.0.0.1', ports: { min: 20_000, max: 29_999 }, workers: 1 });
const sessions: MediaSession[] = [];

process.on('message', (order: Order) => {
  void anchor(order.ports).then((targets) => process.send?.({ targets } satisfies Answer));
});
process.on('disconnect', () => void plane[Symbol.asyncDispose]());

/** Puts the telephones two by two through the relay. @returns where each must send */
async function anchor(ports: number[]): Promise<number[]> {
  const targets: number[] = [];
  for (let at = 0; at + 1 < ports.length; at += 2) {
    const session = await plane.open(`bench-${at}` as CallId);
    sessions.push(session);
    const answer = await session.caller.answer(sdp(ports[at]!));
    const offer = await session.agent.offer();
    await session.agent.accept(sdp(ports[at + 1]!));
    await session.connect();
    targets.push(portOf(answer), portOf(offer));
  }
  return targets;
}

function sdp(port: number): string {
  return `v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio ${port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n`;
}

function portOf(description: string): number {
  return Number(/m=audio (\d+)/u.exec(description)?.[1]);
}
