import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SdpRefused } from '../../../media/plane.ts';
import { eventsOf, readAudio, writeAnswer, writeOffer } from '../../../media/sdp/audio.ts';

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
  telephoneEvent: { payloadType: 101, clockRate: 8_000 },
  protocol: 'RTP/AVP',
  crypto: [],
  rtcpMux: false,
  sessionId: 1,
  version: 1,
} as const;

const key = 'inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz';
const crypto = `a=crypto:1 AES_CM_128_HMAC_SHA1_80 ${key}\r\n`;
const plain = `${head}m=audio 4000 RTP/AVP 8\r\n`;
const secured = `${head}m=audio 4000 RTP/SAVP 8\r\n${crypto}`;
const either = `${head}m=audio 4000 RTP/AVP 8\r\n${crypto}`;
const both = `${head}m=audio 4000 RTP/AVP 8\r\nm=audio 4002 RTP/SAVP 8\r\n${crypto}`;

test.each([
  ['off', plain, { port: 4000, keys: 0 }],
  ['off', secured, 'transport'],
  ['off', either, { port: 4000, keys: 0 }],
  ['off', both, { port: 4000, keys: 0 }],
  ['accept', plain, { port: 4000, keys: 0 }],
  ['accept', secured, { port: 4000, keys: 1 }],
  ['accept', either, { port: 4000, keys: 1 }],
  ['offer', both, { port: 4002, keys: 1 }],
  ['require', plain, 'transport'],
  ['require', either, { port: 4000, keys: 1 }],
  ['require', both, { port: 4002, keys: 1 }],
  ['accept', `${head}m=audio 4000 RTP/SAVP 8\r\n`, 'transport'],
  ['accept', `${head}m=audio 4000 UDP/TLS/RTP/SAVPF 8\r\n`, 'transport'],
] as const)('where SRTP is "%s" the stream is chosen so', (policy, sdp, expected) => {
  if (typeof expected === 'string')
    expect(() => readAudio(sdp, policy)).toThrow(expect.objectContaining({ reason: expected }) as Error);
  else {
    const { port, crypto: keys } = readAudio(sdp, policy);
    expect({ port, keys: keys.length }).toEqual(expected);
  }
});

test('a key never gets into the words of a refusal', () => {
  for (const sdp of [` ${crypto}`, secured.replace('\r\na=crypto', '\r\n a=crypto'), secured]) {
    try {
      readAudio(sdp);
      expect.unreachable();
    } catch (error) {
      expect((error as Error).message).not.toMatch(/WVNf|inline/u);
    }
  }
});

test('an answer has as many streams as the offer, in its order, all but the audio refused', () => {
  const offer = `${head}m=video 5000 RTP/AVP 96\r\nm=audio 4000 RTP/AVP 8 101\r\nm=application 9 UDP/BFCP *\r\n`;
  const codecs = [{ payloadType: 8, name: 'PCMA', fmtp: undefined }] as const;
  const answer = writeAnswer(offer, 1, { ...ours, codecs });
  expect(answer.match(/^m=.*$/gmu)).toEqual([
    'm=video 0 RTP/AVP 96',
    'm=audio 20000 RTP/AVP 8 101',
    'm=application 0 UDP/BFCP *',
  ]);
});

test('our own offer reads back as it was meant', () => {
  const codecs = [
    { payloadType: 0, name: 'PCMU', fmtp: undefined },
    { payloadType: 111, name: 'OPUS', fmtp: 'useinbandfec=1' },
  ] as const;
  const telephoneEvent = { payloadType: 110, clockRate: 48_000 };
  const written = { ...ours, codecs, telephoneEvent, protocol: 'RTP/SAVP', crypto: [crypto.slice(2, -2)] };
  const read = readAudio(writeOffer(written), 'require');
  expect(read).toMatchObject({
    address: '192.0.2.2',
    port: 20_000,
    ptime: 20,
    secure: true,
    rtcpMux: false,
    codecs: [
      { payloadType: 0, name: 'PCMU', clockRate: 8_000, fmtp: undefined },
      { payloadType: 111, name: 'OPUS', clockRate: 48_000, fmtp: 'useinbandfec=1' },
      { payloadType: 110, name: 'TELEPHONE-EVENT' },
    ],
  });
  expect(read.crypto).toHaveLength(1);
});

test('keys are asked for at the clock of the audio, where the far end has them so', () => {
  const sdp = `${head}m=audio 4000 RTP/AVP 111 101 110\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\na=rtpmap:110 telephone-event/48000\r\n`;
  const { codecs } = readAudio(sdp);
  expect(eventsOf(codecs, 48_000)?.payloadType).toBe(110);
  expect(eventsOf(codecs, 8_000)?.payloadType).toBe(101);
  expect(eventsOf(codecs, 16_000)?.payloadType).toBe(101);
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
