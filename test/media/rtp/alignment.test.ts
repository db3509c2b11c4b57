import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { EpochMicros, Side } from '../../../config/units.ts';
import type { BatchedPacket } from '../../../media/fork/batch.ts';
import { align } from '../../../media/rtp/alignment.ts';
import { encodePcma } from '../../../media/codec/g711.ts';
import { rtpPacket } from '../../peers/pcap.ts';
import { batchOf } from '../fork/batch-of.ts';
import { samplesOf } from './samples-of.ts';

const startedAt = 1_790_000_000_000_000 as EpochMicros;
const codecs = { caller: { 8: 'PCMA/8000', 101: 'telephone-event/8000' }, agent: { 8: 'PCMA/8000' } };

interface Sent {
  side?: Side;
  turn: number;
  /** How much later than its turn it arrives. */
  lateMs?: number;
  /** How fast the far end's clock runs, parts per million. */
  ppm?: number;
  level?: number;
  type?: number;
}

/** The packet of a far end's n-th 20 ms. */
function packet({
  side = 'caller',
  turn,
  lateMs = 0,
  ppm = 0,
  level = 1_000,
  type = 8,
}: Sent): BatchedPacket {
  const payload = encodePcma(new Int16Array(160).fill(level));
  const arrivedAt = startedAt + (turn * 20 * (1 - ppm / 1e6) + lateMs) * 1_000;
  return {
    sequence: turn,
    side,
    arrivedAt: Math.round(arrivedAt) as EpochMicros,
    rtp: rtpPacket({
      type,
      marker: false,
      sequence: turn & 0xffff,
      timestamp: (turn * 160 + 4_294_900_000) >>> 0,
      ssrc: 5,
      payload,
    }),
  };
}

function aligned(packets: BatchedPacket[], lastsMs: number) {
  return align({
    batches: [batchOf(packets)],
    gaps: [],
    codecs,
    startedAt,
    endedAt: (startedAt + lastsMs * 1_000) as EpochMicros,
  });
}

test('lost packets are silence of the right length, and listed', async () => {
  const result = aligned(
    [0, 1, 2, 5, 6].map((turn) => packet({ turn })),
    140,
  );
  const { gaps, storedMs } = result;
  const samples = await samplesOf(result);
  expect(gaps.filter(({ side }) => side === 'caller')).toEqual([
    { side: 'caller', fromMs: 60, toMs: 100, kind: 'lost' },
  ]);
  expect(storedMs.caller).toBe(100);
  expect(samples.caller[70 * 8]).toBe(0);
  expect(samples.caller[110 * 8]).not.toBe(0);
});

test('whatever the network does within 60 ms, what arrived stands once, in its place, and the rest is listed', () => {
  const fate = fc.record({ lost: fc.boolean(), lateMs: fc.nat(60), doubled: fc.boolean() });
  fc.assert(
    fc.property(fc.array(fate, { minLength: 20, maxLength: 80 }), (fates) => {
      const kept = fates.flatMap(({ lost, lateMs, doubled }, turn) => {
        if (lost && turn > 0) return [];
        const one = packet({ turn, lateMs: turn === 0 ? 0 : lateMs });
        return doubled ? [one, one] : [one];
      });
      const arrived = new Set(kept.map(({ sequence }) => sequence)).size;
      const result = aligned(
        kept.toSorted((a, b) => a.arrivedAt - b.arrivedAt),
        fates.length * 20,
      );
      const listed = result.gaps
        .filter(({ side }) => side === 'caller')
        .reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0);
      expect(Math.abs(result.storedMs.caller - arrived * 20)).toBeLessThan(20);
      expect(Math.abs(result.storedMs.caller + listed - result.durationMs)).toBeLessThan(20);
    }),
    { numRuns: 100 },
  );
});

/** Numbers in [0, 1) that are the same in every run. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

test('over an hour at 100 ppm, 3 % loss and 60 ms jitter the sides stay within 20 ms of each other', async () => {
  const turns = 3_600 * 50;
  const random = randomOf(7);
  const marks = [0, Math.floor(turns / 2), turns - 100];
  const packets: BatchedPacket[] = [];
  for (let turn = 0; turn < turns; turn += 10) {
    for (const [side, ppm] of [
      ['caller', 0],
      ['agent', 100],
    ] as const) {
      const chance = random();
      if (chance < 0.03 && turn > 0) continue;
      const inMark = marks.some((mark) => turn >= mark && turn < mark + 10);
      const lateMs = random() * 60;
      packets.push(packet({ side, turn, ppm, lateMs, level: inMark ? 12_000 : 100 }));
    }
  }
  const samples = await samplesOf(aligned(packets, turns * 20), 262_144);
  for (const mark of marks) {
    const near = Math.max(0, mark * 160 - 8_000);
    const found = (['caller', 'agent'] as const).map((side) =>
      samples[side].subarray(near, near + 24_000).findIndex((sample) => sample > 8_000),
    );
    // Clocks that differ by 100 ppm say the same word 360 ms apart after an hour: what arrival says is what counts.
    const drifted = (mark * 20 * 100) / 1e6;
    expect(Math.abs((found[0]! - found[1]!) / 8 - drifted)).toBeLessThan(20);
  }
});

test('a clock that is followed moves audio and loses none, and a few late packets at the end move nothing', () => {
  const turns = 1_510;
  // The far end comes 8 ms nearer after ten seconds; the last 200 ms are late by 40 ms.
  const lateMs = (turn: number): number => (turn < 500 ? 8 : turn < 1_500 ? 0 : 40);
  const { gaps, storedMs } = aligned(
    Array.from({ length: turns }, (_, turn) => packet({ turn, lateMs: lateMs(turn) })),
    turns * 20,
  );
  expect(storedMs.caller).toBe(turns * 20);
  expect(gaps.filter(({ side, kind }) => side === 'caller' && kind === 'lost')).toEqual([]);
});

test('keys are not audio, and a codec that is not ours is named', () => {
  const result = aligned([packet({ turn: 0, type: 101 }), packet({ turn: 1, type: 96 })], 40);
  expect(result.storedMs.caller).toBe(0);
  expect(result.undecoded).toEqual(['payload type 96']);
});

test('the audio is the same in whatever pieces it is asked for', async () => {
  const random = randomOf(11);
  const packets = Array.from({ length: 400 }, (_, turn) =>
    packet({
      turn: turn < 200 ? turn : turn + 40,
      side: turn % 3 === 0 ? 'agent' : 'caller',
      lateMs: random() * 60,
      level: 200 + turn,
    }),
  ).toSorted((a, b) => a.arrivedAt - b.arrivedAt);
  const whole = await samplesOf(aligned(packets, 9_000), 1_000_000);
  for (const pieceSamples of [1, 159, 160, 4_001])
    expect(await samplesOf(aligned(packets, 9_000), pieceSamples)).toEqual(whole);
});
