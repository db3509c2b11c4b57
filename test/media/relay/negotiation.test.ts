import { expect, test } from 'vitest';
import { SdpRefused, type Direction } from '../../../media/plane.ts';
import { Negotiation } from '../../../media/relay/negotiation.ts';
import { readAudio } from '../../../media/sdp/audio.ts';
import type { SrtpPolicy } from '../../../media/srtp/agreement.ts';

const maps: Record<string, [number, string]> = {
  PCMU: [0, 'PCMU/8000'],
  PCMA: [8, 'PCMA/8000'],
  G722: [9, 'G722/8000'],
  G729: [18, 'G729/8000'],
  opus: [111, 'opus/48000/2'],
  speex: [97, 'speex/16000'],
  events: [101, 'telephone-event/8000'],
  wideEvents: [110, 'telephone-event/48000'],
};

const keyOf = (seed: number): string => Buffer.alloc(30, seed).toString('base64');

function sdp(names: string, { proto = 'RTP/AVP', key = 0, tag = 1, more = '' } = {}): string {
  const types = names.split(' ').map((name) => maps[name]!);
  return [
    'v=0',
    'o=- 1 1 IN IP4 192.0.2.1',
    's=-',
    'c=IN IP4 192.0.2.1',
    't=0 0',
    `m=audio 4000 ${proto} ${types.map(([type]) => type).join(' ')}`,
    ...types.map(([type, rtpmap]) => `a=rtpmap:${type} ${rtpmap}`),
    ...(key === 0 ? [] : [`a=crypto:${tag} AES_CM_128_HMAC_SHA1_80 inline:${keyOf(key)}`]),
    more,
    '',
  ].join('\r\n');
}

function pair(): { caller: Negotiation; agent: Negotiation } {
  const caller = new Negotiation({ address: '192.0.2.9', port: 20_000 });
  const agent = new Negotiation({ address: '192.0.2.9', port: 20_002 });
  caller.other = agent;
  agent.other = caller;
  return { caller, agent };
}

const names = (described: string): string[] => readAudio(described, 'accept').codecs.map(({ name }) => name);
const types = (described: string): number[] =>
  readAudio(described, 'accept').codecs.map(({ payloadType }) => payloadType);
const both: Direction = 'sendrecv';

test.each([
  ['PCMA PCMU', 'PCMA', ['PCMA', 'PCMU']],
  ['PCMU', 'PCMU', ['PCMU', 'PCMA']],
  ['G722 PCMA', 'G722', ['G722', 'PCMA', 'PCMU']],
  ['G729 PCMU events', 'PCMU', ['PCMU', 'G729', 'PCMA']],
  ['opus G722 PCMU wideEvents', 'OPUS', ['OPUS', 'G722', 'PCMU', 'PCMA']],
  ['speex PCMA', 'PCMA', ['PCMA', 'PCMU']],
])('of %s we answer %s and offer on %j', (offered, answered, offeredOn) => {
  const { caller, agent } = pair();
  expect(names(caller.answer(sdp(offered), both))[0]).toBe(answered);
  expect(names(agent.offer(both)).slice(0, -1)).toEqual(offeredOn);
});

test.each(['G729', 'speex'])('a call in %s alone could not be told: it is not ours', (only) => {
  const { caller } = pair();
  expect(() => caller.answer(sdp(only), both)).toThrow(
    expect.objectContaining({ reason: 'no-codec' }) as Error,
  );
});

test('G.729 may come in the middle of a call that was told, if the other side has it too', () => {
  const { caller, agent } = pair();
  caller.answer(sdp('PCMA G729 events'), both);
  agent.offer(both);
  agent.accept(sdp('PCMA events'));
  caller.answer(sdp('G729 events', { more: 'a=fmtp:18 annexb=no' }), both);
  expect(names(agent.offer(both))).toEqual(['G729', 'TELEPHONE-EVENT']);
  agent.accept(sdp('G729 events'));
  const answer = caller.answer(sdp('G729 events', { more: 'a=fmtp:18 annexb=no' }), both);
  expect(names(answer)).toEqual(['G729', 'TELEPHONE-EVENT']);
  expect(answer).toContain('a=fmtp:18 annexb=no');
  expect([caller.codec, agent.codec, caller.stuck]).toEqual(['G729', 'G729', false]);
});

test('a side that chose what does not pass leaves both stuck, until the first is offered what does', () => {
  const { caller, agent } = pair();
  caller.answer(sdp('opus PCMU wideEvents events'), both);
  agent.offer(both);
  agent.accept(sdp('PCMA events'));
  expect([caller.codec, agent.codec, caller.stuck]).toEqual(['OPUS', 'PCMA', true]);
  const again = caller.offer(both);
  expect(names(again)).toEqual(['PCMA', 'PCMU', 'TELEPHONE-EVENT']);
  caller.accept(sdp('PCMU events'));
  expect([caller.codec, caller.stuck]).toEqual(['PCMU', false]);
});

test('numbers stay what they were: the other side sees ours, and none means two things', () => {
  const { caller, agent } = pair();
  caller.answer(sdp('opus PCMA wideEvents'), both);
  expect(types(agent.offer(both))).toEqual([111, 8, 0, 110]);
  agent.accept(sdp('opus wideEvents').replaceAll('111', '120').replaceAll('110', '96'));
  expect(agent.agreement.terms).toMatchObject({
    codec: 'OPUS',
    clockRate: 48_000,
    audioType: 120,
    receivedAudioType: 111,
    eventType: 96,
    receivedEventType: 110,
    eventClockRate: 48_000,
  });
  expect(agent.agreement.received).toMatchObject({ 111: 'opus/48000/2', 120: 'opus/48000/2' });
  // The agent's telephone numbers Opus 120 from now on, and so do we towards it.
  expect(types(agent.offer(both))[0]).toBe(111);
});

test('a description says something new only when it does', () => {
  const { caller } = pair();
  const version = (described: string): number => Number(/^o=\S+ \d+ (\d+)/mu.exec(described)![1]);
  expect(version(caller.answer(sdp('PCMA'), both))).toBe(1);
  expect(version(caller.answer(sdp('PCMA'), both))).toBe(1);
  expect(version(caller.answer(sdp('PCMA'), 'recvonly'))).toBe(2);
});

const lines = (described: string): string[] => described.match(/^a=crypto:.*$/gmu) ?? [];

test('keys offered are answered under their tag and profile, each side for itself', () => {
  const { caller, agent } = pair();
  const answer = caller.answer(sdp('PCMA', { proto: 'RTP/SAVP', key: 1, tag: 7 }), both, 'accept');
  expect(answer).toContain('m=audio 20000 RTP/SAVP 8');
  expect(lines(answer)).toHaveLength(1);
  expect(lines(answer)[0]).toMatch(/^a=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:/u);
  expect(lines(answer)[0]).not.toContain(keyOf(1));
  expect(caller.agreement.terms?.srtp).toMatchObject({ suite: 'AES_CM_128_HMAC_SHA1_80', mkiBytes: 0 });
  const offer = agent.offer(both, 'accept');
  expect(offer).toContain('RTP/AVP');
  expect(lines(offer)).toEqual([]);
});

test.each<[SrtpPolicy, string, number]>([
  ['off', 'RTP/AVP', 0],
  ['accept', 'RTP/AVP', 0],
  ['offer', 'RTP/AVP', 4],
  ['require', 'RTP/SAVP', 4],
])('where SRTP is "%s" we offer %s with %i keys', (policy, proto, keys) => {
  const { agent } = pair();
  const offer = agent.offer(both, policy);
  expect(offer).toMatch(new RegExp(`^m=audio 20002 ${proto} `, 'mu'));
  expect(lines(offer)).toHaveLength(keys);
  expect(new Set(lines(offer).map((line) => line.split('inline:')[1])).size).toBe(keys);
});

test('what was offered of good will may be left out in the answer; what was required may not', () => {
  const { caller, agent } = pair();
  agent.offer(both, 'offer');
  agent.accept(sdp('PCMA'));
  expect(agent.agreement.terms?.srtp).toBeUndefined();
  expect(lines(agent.offer(both))).toEqual([]);
  caller.offer(both, 'require');
  expect(() => caller.accept(sdp('PCMA'))).toThrow(SdpRefused);
  caller.accept(sdp('PCMA', { proto: 'RTP/SAVP', key: 2, tag: 3 }));
  expect(caller.agreement.terms?.srtp).toBeDefined();
  expect(lines(caller.offer(both))).toHaveLength(1);
  expect(caller.offer(both)).toContain('RTP/SAVP');
});

test('an answer under a tag that we never offered is refused, and nothing changes', () => {
  const { agent } = pair();
  agent.offer(both, 'require');
  expect(() => agent.accept(sdp('PCMA', { proto: 'RTP/SAVP', key: 2, tag: 4 }))).toThrow(
    expect.objectContaining({ reason: 'mismatch' }) as Error,
  );
  expect(agent.agreement.terms).toBeUndefined();
});

test('the next peer that is asked sees none of the keys of the one before', () => {
  const { agent } = pair();
  const first = lines(agent.offer(both, 'require'));
  agent.accept(sdp('PCMA', { proto: 'RTP/SAVP', key: 2, tag: 3 }));
  const second = lines(agent.offer(both, 'require'));
  expect(second).toHaveLength(4);
  expect(second.some((line) => first.includes(line))).toBe(false);
  expect(lines(agent.offer(both, 'off'))).toEqual([]);
});

test('whoever may answer an offer that was asked of us gets a key that nobody had; until the answer the old one stands', () => {
  const { caller } = pair();
  const first = lines(caller.answer(sdp('PCMA', { proto: 'RTP/SAVP', key: 1 }), both, 'accept'));
  const before = caller.agreement.srtp;
  const second = lines(caller.offer(both, undefined, 'anyone'));
  expect(second).toHaveLength(1);
  expect(second).not.toEqual(first);
  expect(caller.agreement.srtp).toBe(before);
  caller.accept(sdp('PCMA', { proto: 'RTP/SAVP', key: 5 }));
  expect(caller.agreement.srtp?.own.equals(before!.own)).toBe(false);
  expect(lines(caller.offer(both))).toEqual(second);
});

test('a hold keeps the keys, a new key of the far end changes ours', () => {
  const { caller } = pair();
  const offer = sdp('PCMA', { proto: 'RTP/SAVP', key: 1 });
  const first = lines(caller.answer(offer, both, 'accept'));
  expect(lines(caller.answer(`${offer}a=sendonly\r\n`, 'recvonly'))).toEqual(first);
  expect(lines(caller.offer(both))).toEqual(first);
  expect(lines(caller.answer(sdp('PCMA', { proto: 'RTP/SAVP', key: 3 }), both))).not.toEqual(first);
});
