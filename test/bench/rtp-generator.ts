/** A process of its own that plays the telephones of `relay`: sends RTP from its sockets and counts what comes back. */
import * as native from '../../media/relay/native.ts';

export interface Order {
  do: 'open' | 'send';
  sockets?: number;
  targets?: number[];
  seconds?: number;
}
export type Answer = { ports: number[] } | { sent: number; received: number };

const fds: number[] = [];
const packet = new Uint8Array(172);
const inbox = new Uint8Array(native.largestPacket);
const set = new native.SocketSet();

process.on('message', (order: Order) => {
  if (order.do === 'open') process.send?.({ ports: open(order.sockets ?? 0) } satisfies Answer);
  else process.send?.(send(order.targets ?? [], order.seconds ?? 1) satisfies Answer);
});

function open(count: number): number[] {
  const ports: number[] = [];
  for (let port = 40_000; ports.length < count; port += 2) {
    try {
      fds.push(native.openUdp('127.0.0.1', port));
      set.add(fds.at(-1)!);
      ports.push(port);
    } catch {
      continue;
    }
  }
  return ports;
}

/** 50 packets a second from each socket, the sockets spread evenly over each 20 ms. */
function send(targets: number[], seconds: number): { sent: number; received: number } {
  const remotes = targets.map((port) => native.socketAddress('127.0.0.1', port));
  const view = new DataView(packet.buffer);
  let [sent, received, turn] = [0, 0, 0];
  const startedAt = performance.now();
  packet[0] = 0x80;
  packet[1] = 8;
  const total = seconds * 50 * fds.length;
  while (sent < total) {
    const due = Math.min(total, Math.floor(((performance.now() - startedAt) / 20) * fds.length));
    for (; sent < due; sent++, turn = (turn + 1) % fds.length) {
      const round = Math.floor(sent / fds.length);
      view.setUint16(2, round & 0xffff);
      view.setUint32(4, (round * 160) >>> 0);
      view.setUint32(8, turn + 1);
      native.sendTo(fds[turn]!, packet, packet.length, remotes[turn]!);
    }
    received += drain(1);
  }
  for (let idle = 0; idle < 100; idle++) received += drain(2);
  return { sent, received };
}

function drain(timeoutMs: number): number {
  let count = 0;
  const ready = set.wait(timeoutMs);
  for (let index = 0; index < ready; index++) {
    while (native.receiveConnected(set.ready(index), inbox) >= 0) count += 1;
  }
  return count;
}
