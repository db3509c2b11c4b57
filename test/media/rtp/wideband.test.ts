/** Recordings in codecs other than G.711: decoded with what they had, or named. */
import { expect, test } from 'vitest';
import type { EpochMicros, Side } from '../../../config/units.ts';
import { encodePcma } from '../../../media/codec/g711.ts';
import { G722Encoder } from '../../../media/codec/g722.ts';
import { encodeOpus } from '../../../media/codec/opus.ts';
import type { BatchedPacket } from '../../../media/fork/batch.ts';
import { align } from '../../../media/rtp/alignment.ts';
import { rtpPacket } from '../../peers/pcap.ts';
import { batchOf } from '../fork/batch-of.ts';
import { samplesOf } from './samples-of.ts';

const startedAt = 1_790_000_000_000_000 as EpochMicros;
const second = 50;

function tone(hertz: number, rate: number): Int16Array {
  return Int16Array.from({ length: rate }, (_, at) => 8_000 * Math.sin((2 * Math.PI * hertz * at) / rate));
}

function frames(payloads: readonly Uint8Array[], type: number, ticks: number, side: Side): BatchedPacket[] {
  return payloads.map((payload, turn) => ({
    sequence: turn,
    side,
    arrivedAt: (startedAt + turn * 20_000) as EpochMicros,
    rtp: rtpPacket({
      type,
      marker: false,
      sequence: turn,
      timestamp: turn * ticks,
      ssrc: side === 'caller' ? 1 : 2,
      payload,
    }),
  }));
}

function cut(bytes: Uint8Array): Uint8Array[] {
  return Array.from({ length: second }, (_, at) => bytes.subarray(at * 160, (at + 1) * 160));
}

function aligned(packets: BatchedPacket[], codecs: Record<Side, Record<string, string>>) {
  return align({
    batches: [batchOf(packets)],
    gaps: [],
    codecs,
    startedAt,
    endedAt: (startedAt + 1_000_000) as EpochMicros,
  });
}

/** How much of a frequency is in a part of a second that is heard; 1 for the tone itself. */
function share(samples: Int16Array, hertz: number, rate: number, [from, to] = [0.25, 0.75]): number {
  const piece = samples.subarray(rate * from, rate * to);
  let [real, imaginary] = [0, 0];
  for (const [at, sample] of piece.entries()) {
    real += sample * Math.cos((2 * Math.PI * hertz * at) / rate);
    imaginary += sample * Math.sin((2 * Math.PI * hertz * at) / rate);
  }
  return (2 * Math.hypot(real, imaginary)) / piece.length / 8_000;
}

test('a side in G.722 keeps its upper band, and one in G.711 stands beside it at the same rate', async () => {
  const wide = frames(cut(new G722Encoder().encode(tone(5_000, 16_000))), 9, 160, 'caller');
  const narrow = frames(cut(encodePcma(tone(1_000, 8_000))), 8, 160, 'agent');
  const result = aligned([...wide, ...narrow], {
    caller: { 9: 'G722/8000' },
    agent: { 8: 'PCMA/8000' },
  });
  const { rate, storedMs, gaps, undecoded } = result;
  const samples = await samplesOf(result);
  expect({ rate, storedMs, gaps, undecoded }).toEqual({
    rate: 16_000,
    storedMs: { caller: 1_000, agent: 1_000 },
    gaps: [],
    undecoded: [],
  });
  expect(share(samples.caller, 5_000, rate)).toBeGreaterThan(0.8);
  expect(share(samples.agent, 1_000, rate)).toBeGreaterThan(0.9);
});

test('Opus stands by its clock of 48 kHz', async () => {
  const packets = frames(encodeOpus(tone(3_000, 16_000), 16_000), 111, 960, 'caller');
  const result = aligned(packets, { caller: { 111: 'opus/48000/2' }, agent: {} });
  const { rate, storedMs } = result;
  const samples = await samplesOf(result);
  expect(storedMs.caller).toBe(1_000);
  expect(share(samples.caller, 3_000, rate)).toBeGreaterThan(0.6);
});

test('streams of Opus side by side do not hear each other, and one that begins anew again and again is heard to its end', async () => {
  const codecs = { caller: { 111: 'opus/48000/2' }, agent: { 111: 'opus/48000/2' } };
  const [low, high] = [1_000, 3_000].map((hertz) => encodeOpus(tone(hertz, 16_000), 16_000));
  const caller = frames(low!, 111, 960, 'caller');
  const agent = frames(high!, 111, 960, 'agent').map((sent, turn) => {
    const rtp = Buffer.from(sent.rtp);
    // A new source every 40 ms: more of them than a side has decoders.
    rtp.writeUInt32BE(1_000 + (turn >> 1), 8);
    return { ...sent, rtp };
  });
  const alone = await samplesOf(aligned(caller, codecs));
  const both = await samplesOf(aligned([...caller, ...agent], codecs));
  expect(both.caller).toEqual(alone.caller);
  expect(share(both.caller, 1_000, 16_000)).toBeGreaterThan(0.8);
  expect(share(both.agent, 3_000, 16_000)).toBeGreaterThan(0.4);
});

test('packets that came out of order are decoded as they were sent', async () => {
  const packets = frames(cut(new G722Encoder().encode(tone(1_000, 16_000))), 9, 160, 'caller');
  const swapped = packets.map((each, at) => packets[at % 2 === 0 ? at + 1 : at - 1] ?? each);
  const codecs = { caller: { 9: 'G722/8000' }, agent: {} };
  expect(await samplesOf(aligned(swapped, codecs))).toEqual(await samplesOf(aligned(packets, codecs)));
});

test('a codec that came in the middle of a call is known by its static number, and decoded in its turn', async () => {
  const before = frames(cut(encodePcma(tone(1_000, 8_000))), 8, 160, 'caller').slice(0, 25);
  const after = frames(cut(new G722Encoder().encode(tone(1_000, 16_000))), 9, 160, 'caller').slice(25);
  const result = aligned([...before, ...after], { caller: { 8: 'PCMA/8000' }, agent: {} });
  const { rate, storedMs } = result;
  const samples = await samplesOf(result);
  expect(storedMs.caller).toBe(1_000);
  expect(share(samples.caller, 1_000, rate, [0.1, 0.4])).toBeGreaterThan(0.9);
  expect(share(samples.caller, 1_000, rate, [0.6, 0.9])).toBeGreaterThan(0.9);
});

test('G.729 is named as what could not be decoded', () => {
  const packets = frames([new Uint8Array(20), new Uint8Array(20)], 18, 160, 'agent');
  const { undecoded, storedMs } = aligned(packets, { caller: {}, agent: { 18: 'G729/8000' } });
  expect(undecoded).toEqual(['G729/8000']);
  expect(storedMs.agent).toBe(0);
});
