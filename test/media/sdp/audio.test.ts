import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SdpRefused } from '../../../media/plane.ts';
import { chooseG711, readAudio, writeAnswer, writeOffer } from '../../../media/sdp/audio.ts';

const head = 'v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n';

test.each([
  [
    'static types without rtpmap',
    `${head}m=audio 4000 RTP/AVP 18 8 0\r\n`,
    { port: 4000, direction: 'sendrecv', address: '192.0.2.1' },
  ],
  [
    'bare LF',
    `${head}m=audio 4000 RTP/AVP 8\r\na=sendonly\r\n`.replaceAll('\r', ''),
    { direction: 'sendonly' },
  ],
  [
    'an address of its own',
    `${head}m=audio 4000 RTP/AVP 8\r\nc=IN IP4 192.0.2.9\r\n`,
    { address: '192.0.2.9' },
  ],
  [
    'a direction of the session',
    `${head}a=inactive\r\nm=audio 4000 RTP/AVP 8\r\n`,
    { direction: 'inactive' },
  ],
  [
    'a hold by the address of nought',
    `${head.replace('c=IN IP4 192.0.2.1', 'c=IN IP4 0.0.0.0')}m=audio 4000 RTP/AVP 8\r\n`,
    { direction: 'sendonly' },
  ],
  [
    'IPv6',
    `v=0\r\no=- 1 1 IN IP6 ::1\r\ns=-\r\nc=IN IP6 2001:db8::1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n`,
    { address: '2001:db8::1' },
  ],
  [
    'video before audio',
    `${head}m=video 5000 RTP/AVP 96\r\nm=audio 4000 RTP/AVP 8\r\na=rtcp:4009\r\n`,
    { mediaIndex: 1, mediaCount: 2, rtcpPort: 4009 },
  ],
])('%s is read', (_name, sdp, expected) => {
  expect(readAudio(sdp)).toMatchObject(expected);
});

test.each([
  ['malformed', 'hello'],
  ['malformed', `${head}m=audio x RTP/AVP 8\r\n`],
  ['no-audio', `${head}m=video 4000 RTP/AVP 96\r\n`],
  ['no-audio', `${head}m=audio 0 RTP/AVP 8\r\n`],
  ['transport', `${head}m=audio 4000 RTP/SAVP 8\r\n`],
  ['no-address', 'v=0\r\ns=-\r\nm=audio 4000 RTP/AVP 8\r\n'],
])('%s is said of what cannot be anchored', (reason, sdp) => {
  expect(() => readAudio(sdp)).toThrow(expect.objectContaining({ reason }) as Error);
});

const ours = {
  address: '192.0.2.2',
  port: 20_000,
  direction: 'sendrecv',
  telephoneEvent: 101,
  sessionId: 1,
  version: 1,
} as const;

test('an answer has as many streams as the offer, in its order, all but the audio refused', () => {
  const offer = `${head}m=video 5000 RTP/AVP 96\r\nm=audio 4000 RTP/AVP 8 101\r\nm=application 9 UDP/BFCP *\r\n`;
  const answer = writeAnswer(offer, { ...ours, codec: { payloadType: 8, name: 'PCMA' } });
  expect(answer.match(/^m=.*$/gmu)).toEqual([
    'm=video 0 RTP/AVP 96',
    'm=audio 20000 RTP/AVP 8 101',
    'm=application 0 UDP/BFCP *',
  ]);
});

test('our own offer reads back as it was meant', () => {
  const codecs = [
    { payloadType: 0, name: 'PCMU' },
    { payloadType: 8, name: 'PCMA' },
  ] as const;
  const read = readAudio(writeOffer({ ...ours, codecs }));
  expect(chooseG711(read.codecs)).toEqual({ payloadType: 0, name: 'PCMU' });
  expect(read).toMatchObject({ address: '192.0.2.2', port: 20_000, ptime: 20 });
});

test('whatever a peer writes is read or refused, never anything else', () => {
  const good = `${head}a=sendrecv\r\nm=audio 4000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n`;
  fc.assert(
    fc.property(
      fc.nat(good.length),
      fc.nat(12),
      fc.oneof(fc.string(), fc.constantFrom('m=', 'c=IN', '/', '\n', 'a=rtpmap:', '0')),
      (at, cut, put) => {
        const bad = good.slice(0, at) + put + good.slice(at + cut);
        try {
          const { port } = readAudio(bad);
          expect(port).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toBeInstanceOf(SdpRefused);
        }
      },
    ),
    { numRuns: 3_000 },
  );
});
