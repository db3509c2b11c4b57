/**
 * Ports for real programs, which cannot be told "any port" and asked later which one they took. They lie below the range
 * from which the kernel gives out ephemeral ports, so that nobody else is handed one between our look and the program's
 * bind, and a process hands them out of blocks that no other test process of this machine holds at the same time.
 */
import { createSocket } from 'node:dgram';
import { createServer, isIPv6, type Server } from 'node:net';
import { once } from 'node:events';
import { randomInt } from 'node:crypto';

const lowest = 10_000;
const highest = 32_000;
const blockSize = 400;

type Transport = 'udp' | 'tcp';

export interface PortRange {
  min: number;
  max: number;
}

/** A run of ports that only this process hands out; `next` is the first that it has not handed out yet. */
interface Block {
  next: number;
  end: number;
}

const blocks: Block[] = [];

/** A port that is free on `address` for UDP and TCP alike. @throws when no free one is left */
export async function freePort(address = '127.0.0.1'): Promise<number> {
  return (await freePortRange(1, address)).min;
}

/**
 * `count` adjacent ports, free for UDP and TCP, the first of them even (RFC 3550 section 11: RTP on even ports).
 *
 * @throws when `count` is above the size of a block (400), or when other processes hold every block
 */
export async function freePortRange(count: number, address = '127.0.0.1'): Promise<PortRange> {
  if (count > blockSize) throw new RangeError(`${count} adjacent ports asked for, ${blockSize} at most`);
  for (;;) {
    const min = take(count);
    if (min === undefined) {
      await claimBlock();
      continue;
    }
    const ports = Array.from({ length: count }, (_, index) => min + index);
    const free = await Promise.all(
      ports.map(async (port) => (await isFree('udp', port, address)) && (await isFree('tcp', port, address))),
    );
    if (free.every(Boolean)) return { min, max: min + count - 1 };
  }
}

function take(count: number): number | undefined {
  const block = blocks.find(({ next, end }) => next + count <= end);
  if (block === undefined) return undefined;
  const min = block.next;
  block.next += count + (count % 2);
  return min;
}

/** A socket in the abstract namespace marks a block as ours: the kernel lets one process hold it, and frees it at its end. */
async function claimBlock(): Promise<void> {
  const count = Math.floor((highest - lowest) / blockSize);
  const first = randomInt(count);
  for (let step = 0; step < count; step += 1) {
    const start = lowest + ((first + step) % count) * blockSize;
    if ((await markAsOurs(start)) === undefined) continue;
    blocks.push({ next: start, end: start + blockSize });
    return;
  }
  throw new Error(`other test processes hold all ${count} blocks of ports`);
}

async function markAsOurs(start: number): Promise<Server | undefined> {
  const mark = createServer().listen(`\0tacet-test-ports-${start}`).unref();
  try {
    await once(mark, 'listening');
    return mark;
  } catch {
    return undefined;
  }
}

/** Whether `port` can be bound at this moment. */
export async function isFree(transport: Transport, port: number, address = '127.0.0.1'): Promise<boolean> {
  if (transport === 'udp') {
    const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
    try {
      socket.bind({ port, address, exclusive: true });
      await once(socket, 'listening');
      return true;
    } catch {
      return false;
    } finally {
      socket.close();
    }
  }
  const server = createServer();
  try {
    server.listen({ port, host: address, exclusive: true });
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
