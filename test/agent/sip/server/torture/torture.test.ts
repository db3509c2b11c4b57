/**
 * The torture messages: each accepted or refused as its RFC says (where that leaves a choice, the table says which one
 * is ours), nothing crashes, nothing of it is left.
 */
import { createSocket } from 'node:dgram';
import { describe, expect, it } from 'vitest';
import { parseMessage } from '../../../../../agent/sip/server/message.ts';
import { nothingLeft, openBench } from '../application.ts';
import type { Torture } from './message.ts';
import { invalid } from './rfc4475-invalid.ts';
import { valid } from './rfc4475-valid.ts';
import { ipv6 } from './rfc5118.ts';

const requests = (all: readonly Torture[]) => all.filter(({ response }) => response === undefined);
const responses = (all: readonly Torture[]) => all.filter(({ response }) => response !== undefined);
const named = (all: readonly Torture[]) => all.map((one): [string, Torture] => [one.name, one]);

async function openTorture() {
  const faults: unknown[] = [];
  const bench = await openBench(
    {
      timers: { t1Ms: 5, t2Ms: 40, t4Ms: 40 },
      onEvent: (event) => {
        if (event.kind === 'failed') faults.push(event.error);
      },
    },
    (srf) => {
      srf.invite((_req, res) => res.send(486));
      srf.register((_req, res) => res.send(200));
      srf.options((_req, res) => res.send(200));
      srf.message((_req, res) => res.send(200));
    },
  );
  return { ...bench, faults };
}

/** Hears statuses only: what comes back repeats header fields that cannot be read. */
async function openListener(serverPort: number) {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const statuses: number[] = [];
  socket.on('message', (bytes) =>
    statuses.push(Number(/^SIP\/2\.0 (\d{3}) /u.exec(bytes.toString('latin1'))?.[1])),
  );
  return {
    port: socket.address().port,
    statuses,
    send: (text: string) => socket.send(Buffer.from(text, 'latin1'), serverPort, '127.0.0.1'),
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => socket.close(() => resolve())),
  };
}

describe.each([
  ['RFC 4475, valid', requests(valid)],
  ['RFC 4475, invalid and odd', requests(invalid)],
  ['RFC 5118', ipv6],
])('%s', (_rfc, messages) => {
  it.each(named(messages))('%s', async (_name, { bytes, status, inDialog }) => {
    await using bench = await openTorture();
    await using peer = await openListener(bench.port);
    peer.send(bytes.toString('latin1').replaceAll('{port}', String(peer.port)));
    if (status === undefined) {
      await expect.poll(() => bench.server.statistics().malformed).toBe(1);
      expect(peer.statuses).toEqual([]);
    } else {
      await expect.poll(() => peer.statuses.find((one) => one >= 200)).toBe(inDialog ? 481 : status);
    }
    await nothingLeft(bench.server);
    expect(bench.faults).toEqual([]);
  });
});

it.each(named([...responses(valid), ...responses(invalid)]))('a response: %s', async (_name, torture) => {
  const parsed = parseMessage(torture.bytes);
  expect(parsed.ok, parsed.ok ? '' : parsed.why).toBe(torture.response === 'read');
  await using bench = await openTorture();
  await using peer = await openListener(bench.port);
  peer.send(torture.bytes.toString('latin1'));
  const { dropped } = bench.server.statistics();
  const reason = torture.response === 'read' ? 'stray response' : 'malformed';
  await expect.poll(() => bench.server.statistics().dropped[reason]).toBe(dropped[reason] + 1);
  await nothingLeft(bench.server);
  expect(bench.faults).toEqual([]);
});
