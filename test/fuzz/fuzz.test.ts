/** A bounded run of every fuzz target, and the promise that reading a message is linear in its size. */
import { expect, it } from 'vitest';
import { parseMessage } from '../../agent/sip/server/message.ts';
import { parseNameAddr, parseSipUri, splitOutside } from '../../agent/sip/server/uri.ts';
import { fuzz } from './fuzz.ts';
import { targets } from './targets.ts';

it.each(targets.map((target) => [target.name, target] as const))(
  '%s outlive 3,000 damaged inputs',
  (_name, target) => {
    fuzz(target, 20_261_126, 3_000);
  },
);

const head = [
  'OPTIONS sip:a@b SIP/2.0',
  'From: <sip:a@b>;tag=1',
  'To: <sip:a@b>',
  'Call-ID: 1',
  'CSeq: 1 OPTIONS',
].join('\r\n');
const message = (line: string) =>
  Buffer.from(`${head}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n${line}\r\n\r\n`, 'latin1');

/** The least of several times, so that other work on the machine does not count. */
function leastMs(act: () => void): number {
  let least = Infinity;
  for (let turn = 0; turn < 15; turn++) {
    const from = performance.now();
    for (let times = 0; times < 20; times++) act();
    least = Math.min(least, performance.now() - from);
  }
  return least;
}

it.each<[string, (size: number) => () => void]>([
  ['folds', (size) => () => parseMessage(message(`Subject: x${'\r\n '.repeat(size / 4)}`))],
  ['spaces', (size) => () => parseMessage(message(`Subject:${' '.repeat(size)}x`))],
  ['spaces in a start line', (size) => () => parseMessage(Buffer.from(`OPTIONS ${' '.repeat(size)}x`))],
  ['quotes', (size) => () => splitOutside('"\\'.repeat(size / 2), ',')],
  ['parameters', (size) => () => parseNameAddr(`<sip:a@b>${';a'.repeat(size / 2)}`)],
  ['brackets', (size) => () => parseSipUri(`sip:${'[@'.repeat(size / 2)}`)],
  ['commas in Via', (size) => () => parseMessage(message(`Via: ${'SIP/2.0/UDP h,'.repeat(size / 14)}`))],
  ['digits', (size) => () => parseMessage(message(`CSeq: ${'1'.repeat(size)} x`))],
])('%s, sixteen times as many, take about sixteen times as long', (_name, of) => {
  const small = leastMs(of(1_000));
  const large = leastMs(of(16_000));
  // Quadratic would be 256; the allowance is for caches and the garbage collector.
  expect(large / Math.max(small, 0.02)).toBeLessThan(100);
});
