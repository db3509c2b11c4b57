import fc from 'fast-check';
import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { MasterKey } from '../../../media/srtp/keys.ts';
import { guessIndex, ReplayWindow, windowSize } from '../../../media/srtp/packet-index.ts';
import { SrtpReceiver, SrtpSender, type SrtpTerms } from '../../../media/srtp/srtp.ts';
import { largestOverheadBytes, suites, type SuiteName } from '../../../media/srtp/suites.ts';

const names = Object.keys(suites) as SuiteName[];

function terms(name: SuiteName, seed = 1, mkiBytes = 0): SrtpTerms {
  const suite = suites[name];
  const bytes = Uint8Array.from(
    { length: suite.keyBytes + suite.saltBytes },
    (_, at) => (at * 7 + seed) & 0xff,
  );
  return { suite, key: MasterKey.take(bytes), mkiBytes };
}

function rtp({ sequence = 1, ssrc = 7, payload = 160, first = 0x80 } = {}): Uint8Array {
  const packet = new Uint8Array(12 + payload + largestOverheadBytes);
  const view = new DataView(packet.buffer);
  view.setUint8(0, first);
  view.setUint8(1, 8);
  view.setUint16(2, sequence & 0xffff);
  view.setUint32(4, sequence * 160);
  view.setUint32(8, ssrc);
  for (let at = 12; at < 12 + payload; at++) packet[at] = (at * sequence) & 0xff;
  return packet;
}

const plainLength = 172;

test.each(names)('%s: what is protected opens again, and is not readable between', (name) => {
  using sender = new SrtpSender(terms(name));
  using receiver = new SrtpReceiver(terms(name));
  const packet = rtp();
  const plain = packet.slice(0, plainLength);
  const length = sender.protect(packet, plainLength);
  expect(length).toBe(plainLength + suites[name].tagBytes);
  expect(packet.slice(0, 12)).toEqual(plain.slice(0, 12));
  expect(packet.slice(12, plainLength)).not.toEqual(plain.slice(12));
  expect(receiver.unprotect(packet, length)).toBe(plainLength);
  expect(packet.slice(0, plainLength)).toEqual(plain);
});

test.each(names)('%s: control packets too, with an index of their own', (name) => {
  using sender = new SrtpSender(terms(name));
  using receiver = new SrtpReceiver(terms(name));
  for (let turn = 0; turn < 3; turn++) {
    const packet = new Uint8Array(28 + largestOverheadBytes);
    packet.set([0x80, 200, 0, 6, 0, 0, 0, 7]);
    packet.fill(turn + 1, 8, 28);
    const plain = packet.slice(0, 28);
    const length = sender.protectRtcp(packet, 28);
    expect(packet.slice(8, 28)).not.toEqual(plain.slice(8));
    const again = packet.slice();
    expect(receiver.unprotectRtcp(packet, length)).toBe(28);
    expect(packet.slice(0, 28)).toEqual(plain);
    expect(receiver.unprotectRtcp(again, length)).toBe(-1);
  }
});

test('CSRCs and a header extension stay readable and are authenticated', () => {
  using sender = new SrtpSender(terms('AEAD_AES_128_GCM'));
  using receiver = new SrtpReceiver(terms('AEAD_AES_128_GCM'));
  // Two CSRCs, an extension of one word: 12 + 8 + 8.
  const packet = rtp({ first: 0x92 });
  packet.set([0xbe, 0xde, 0, 1], 20);
  const plain = packet.slice(0, plainLength);
  const length = sender.protect(packet, plainLength);
  expect(packet.slice(0, 28)).toEqual(plain.slice(0, 28));
  const forged = packet.slice();
  forged[25]! ^= 1;
  expect(receiver.unprotect(forged, length)).toBe(-1);
  expect(receiver.unprotect(packet, length)).toBe(plainLength);
});

test('another key, a changed bit, a cut packet: refused, and nothing moves', () => {
  for (const name of names) {
    using sender = new SrtpSender(terms(name));
    using stranger = new SrtpReceiver(terms(name, 2));
    using receiver = new SrtpReceiver(terms(name));
    const packet = rtp({ sequence: 40_000 });
    const length = sender.protect(packet, plainLength);
    expect(stranger.unprotect(packet.slice(), length)).toBe(-1);
    for (let at = 0; at < length; at++) {
      const changed = packet.slice();
      changed[at]! ^= 0x10;
      expect(receiver.unprotect(changed, length)).toBe(-1);
    }
    for (let cut = 0; cut < length; cut++) expect(receiver.unprotect(packet.slice(), cut)).toBe(-1);
    expect(receiver.unprotect(packet, length)).toBe(plainLength);
  }
});

test('a key identifier of the far end is taken off, wherever its suite puts it', () => {
  for (const name of names) {
    const { tagBytes, aead } = suites[name];
    using sender = new SrtpSender(terms(name));
    using receiver = new SrtpReceiver(terms(name, 1, 2));
    const packet = rtp();
    const length = sender.protect(packet, plainLength);
    const at = aead ? length : length - tagBytes;
    const marked = Uint8Array.from([...packet.slice(0, at), 0xca, 0xfe, ...packet.slice(at, length)]);
    expect(receiver.unprotect(marked, length + 2)).toBe(plainLength);
  }
});

test('each source has its own roll-over counter, and only so many sources are remembered', () => {
  using sender = new SrtpSender(terms('AES_CM_128_HMAC_SHA1_80'));
  using receiver = new SrtpReceiver(terms('AES_CM_128_HMAC_SHA1_80'));
  for (const sequence of [65_535, 65_536, 65_537]) {
    const packet = rtp({ sequence });
    expect(receiver.unprotect(packet, sender.protect(packet, plainLength))).toBe(plainLength);
  }
  for (let ssrc = 100; ssrc < 200; ssrc++) {
    using other = new SrtpSender(terms('AES_CM_128_HMAC_SHA1_80'));
    const packet = rtp({ sequence: 65_534, ssrc });
    const opened = receiver.unprotect(packet, other.protect(packet, plainLength));
    expect(opened).toBe(ssrc < 163 ? plainLength : -1);
  }
  const packet = rtp({ sequence: 65_538 });
  expect(receiver.unprotect(packet, sender.protect(packet, plainLength))).toBe(plainLength);
});

test('the same key under a new agreement goes on counting; a new one begins at nought', () => {
  const before = terms('AES_CM_128_HMAC_SHA1_80');
  using first = new SrtpSender(before);
  for (const sequence of [65_535, 65_536]) first.protect(rtp({ sequence }), plainLength);
  const late = rtp({ sequence: 65_537 });
  const length = first.protect(late, plainLength);
  using anew = new SrtpReceiver(terms('AES_CM_128_HMAC_SHA1_80', 9));
  using second = new SrtpSender(terms('AES_CM_128_HMAC_SHA1_80', 9));
  expect(anew.unprotect(late, length)).toBe(-1);
  const packet = rtp({ sequence: 65_537 });
  expect(anew.unprotect(packet, second.protect(packet, plainLength))).toBe(plainLength);
});

/** RFC 3711 appendix A, word for word. */
function appendixA(highest: number, rollovers: number, sequence: number): number {
  const v =
    highest < 32_768
      ? sequence - highest > 32_768
        ? rollovers - 1
        : rollovers
      : highest - 32_768 > sequence
        ? rollovers + 1
        : rollovers;
  return v * 65_536 + sequence;
}

test('the index is guessed as in RFC 3711 appendix A', () => {
  fc.assert(
    fc.property(fc.nat(0xffff), fc.nat(2 ** 32 - 1), fc.nat(0xffff), (last, rollovers, sequence) => {
      const expected = appendixA(last, rollovers, sequence);
      expect(guessIndex(rollovers * 65_536 + last, sequence)).toBe(expected < 0 ? -1 : expected);
    }),
  );
});

/** How a network may treat a stream: late by some, twice, or never. */
const fates = fc.array(
  fc.record({ lost: fc.boolean(), lateBy: fc.nat(30), copies: fc.integer({ min: 1, max: 3 }) }),
  { minLength: 50, maxLength: 400 },
);

test('over any loss, reordering and repetition, across any wrap, each packet opens exactly once', () => {
  fc.assert(
    fc.property(
      fates,
      fc.integer({ min: 65_300, max: 65_535 }),
      fc.constantFrom(...names),
      (plan, start, name) => {
        using sender = new SrtpSender(terms(name));
        using receiver = new SrtpReceiver(terms(name));
        const arrivals = plan.flatMap(({ lost, lateBy, copies }, at) => {
          const packet = rtp({ sequence: start + at, payload: 20 });
          const length = sender.protect(packet, 32);
          // The first must arrive: a stream that begins after a wrap begins at nought (RFC 3711 section 3.3.1).
          if (lost && at > 0) return [];
          return Array.from({ length: copies }, (_, copy) => ({
            when: at === 0 && copy === 0 ? -1 : at + lateBy + copy,
            sequence: start + at,
            packet: packet.slice(0, length),
          }));
        });
        const opened = arrivals
          .sort((a, b) => a.when - b.when)
          .filter(({ packet }) => receiver.unprotect(packet, packet.length) === 32)
          .map(({ sequence }) => sequence);
        const sent = new Set(arrivals.map(({ sequence }) => sequence));
        expect(opened.toSorted((a, b) => a - b)).toEqual([...sent].toSorted((a, b) => a - b));
      },
    ),
    { numRuns: 60 },
  );
});

test('no two packets ever go out under one index', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(2_000), { minLength: 1, maxLength: 300 }), (sequences) => {
      using sender = new SrtpSender(terms('AES_CM_128_HMAC_SHA1_80'));
      const out = sequences.filter((sequence) => sender.protect(rtp({ sequence, payload: 4 }), 16) > 0);
      expect(new Set(out).size).toBe(out.length);
    }),
  );
});

test('a window takes each index once and none that is too old to know', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(1_000), { maxLength: 500 }), (indices) => {
      const window = new ReplayWindow();
      const taken = new Set<number>();
      for (const index of indices) {
        const highest = Math.max(-1, ...taken);
        const expected = index > highest || (index > highest - windowSize && !taken.has(index));
        expect(window.admits(index)).toBe(expected);
        if (!expected) continue;
        window.take(index);
        taken.add(index);
      }
    }),
  );
});

test('whatever arrives is refused or opened, never anything else', () => {
  const receivers = names.map((name) => new SrtpReceiver(terms(name)));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
      for (const receiver of receivers) {
        expect(receiver.unprotect(Uint8Array.from(noise), noise.length)).toBe(-1);
        expect(receiver.unprotectRtcp(Uint8Array.from(noise), noise.length)).toBe(-1);
      }
    }),
    { numRuns: 2_000 },
  );
  for (const receiver of receivers) receiver[Symbol.dispose]();
});

test('a key shows itself to nobody and is gone when it is zeroed', () => {
  const source = Uint8Array.from({ length: 30 }, (_, at) => 0x41 + (at % 20));
  const key = MasterKey.take(source);
  expect(source.every((byte) => byte === 0)).toBe(true);
  expect(JSON.stringify({ key })).toBe('{"key":"[key]"}');
  expect(inspect({ key }, { depth: 9, showHidden: true })).not.toMatch(/65|41|ABC/u);
  key.zero();
  expect(new Uint8Array(key.memory).every((byte) => byte === 0)).toBe(true);
});
