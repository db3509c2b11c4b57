/**
 * Ports for real programs, which cannot be told "any port" and asked later which one they took. Chosen at random below
 * the range from which the kernel gives out ephemeral ports, so that nobody else is handed one between our look and
 * the program's bind; a process never hands the same port out twice.
 */
import { createSocket } from 'node:dgram';
import { createServer, isIPv6 } from 'node:net';
import { once } from 'node:events';
import { randomInt } from 'node:crypto';

const lowest = 10_000;
const highest = 32_000;
const handedOut = new Set<number>();

type Transport = 'udp' | 'tcp';

export interface PortRange {
  min: number;
  max: number;
}

/** A port that is free on `address` for UDP and TCP alike. @throws when none of 200 random ports is free */
export async function freePort(address = '127.0.0.1'): Promise<number> {
  return (await freePortRange(1, address)).min;
}

/** `count` adjacent ports, free for UDP and TCP, the first of them even (RFC 3550 section 11: RTP on even ports). */
export async function freePortRange(count: number, address = '127.0.0.1'): Promise<PortRange> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const min = randomInt(lowest / 2, Math.floor((highest - count) / 2)) * 2;
    const ports = Array.from({ length: count }, (_, index) => min + index);
    if (ports.some((port) => handedOut.has(port))) continue;
    const free = await Promise.all(
      ports.map(async (port) => (await isFree('udp', port, address)) && (await isFree('tcp', port, address))),
    );
    if (free.every(Boolean)) {
      for (const port of ports) handedOut.add(port);
      return { min, max: min + count - 1 };
    }
  }
  throw new Error(`no ${count} adjacent free ports on ${address}`);
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
