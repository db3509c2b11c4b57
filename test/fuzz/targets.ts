/** What is fuzzed: a parser, real input to begin with, and the one error that it may throw. */
import { FrameError, FrameReader } from '../../agent/sip/server/control/frame.ts';
import { parseMessage, stampVia, textOf } from '../../agent/sip/server/message.ts';
import { StreamBroken, StreamReader } from '../../agent/sip/server/transport/stream-reader.ts';
import { parseNameAddr, parseSipUri, splitOutside } from '../../agent/sip/server/uri.ts';
import { TelephoneEventReceiver } from '../../media/dtmf/telephone-event.ts';
import { BatchMalformed, decodeBatch } from '../../media/fork/batch.ts';
import {
  LinkMalformed,
  decodeFrames,
  parseAgentMessage,
  parseStoreMessage,
} from '../../media/fork/protocol.ts';
import { newRtpHeader, readRtp } from '../../media/rtp/packet.ts';
import { rewriteRtcp } from '../../media/rtp/rtcp.ts';
import { readAudio } from '../../media/sdp/audio.ts';
import { readAnswer } from '../../media/voice/vosk.ts';
import { SdpRefused } from '../../media/plane.ts';
import { valid } from '../agent/sip/server/torture/rfc4475-valid.ts';
import { invalid } from '../agent/sip/server/torture/rfc4475-invalid.ts';
import { ipv6 } from '../agent/sip/server/torture/rfc5118.ts';

export interface Target {
  name: string;
  seeds: readonly Buffer[];
  /** Throws where a promise of the parser is broken. */
  run(bytes: Buffer): void;
}

const latin1 = (text: string) => Buffer.from(text, 'latin1');
const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

const sipSeeds = [...valid, ...invalid, ...ipv6].map(({ bytes }) => bytes);

const sdps = [
  'v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendonly\r\n',
  'v=0\r\no=x 2 3 IN IP6 2001:db8::1\r\ns=x\r\nt=0 0\r\nm=audio 5000 RTP/SAVP 111\r\nc=IN IP6 2001:db8::1\r\na=rtpmap:111 opus/48000/2\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4\r\nm=image 0 udptl t38\r\n',
];

const streamBounds = { headBytes: 4_096, messageBytes: 16_384 };

/** Two messages and keep-alives, as they follow each other on a connection. */
const sipStreams = sipSeeds
  .slice(0, -1)
  .map((seed, at) => Buffer.concat([seed, latin1('\r\n\r\n'), sipSeeds[at + 1]!, latin1('\r\n')]));

/** The messages in a stream that comes in pieces of this size, and how it broke. */
function framed(bytes: Buffer, size: number): string[] {
  const reader = new StreamReader(streamBounds);
  const found: string[] = [];
  try {
    for (let at = 0; at < bytes.length; at += size) {
      for (const piece of reader.read(bytes.subarray(at, at + size))) {
        if (piece.kind === 'message') found.push(piece.bytes.toString('latin1'));
      }
    }
  } catch (error) {
    if (!(error instanceof StreamBroken)) throw error;
    found.push(`broken: ${error.status}`);
  }
  return found;
}

export const targets: readonly Target[] = [
  {
    name: 'SIP messages',
    seeds: sipSeeds,
    run(bytes) {
      const parsed = parseMessage(bytes);
      if (!parsed.ok) return;
      const { message } = parsed;
      if (message.kind === 'request') stampVia(message, { address: '192.0.2.9', port: 5_060 });
      const again = parseMessage(latin1(textOf(message)));
      if (!again.ok) throw new Error(`what was read is written so that nobody can read it: ${again.why}`);
      if (again.message.body !== message.body) throw new Error('a body changed on its way');
    },
  },
  {
    name: 'header values',
    seeds: [
      latin1('"A \\" b" <sip:u;x=1@h:5060;lr?a=b>;tag=1, <sips:[2001:db8::1]>;q=0.5'),
      latin1('tel:+1;ext=2'),
    ],
    run(bytes) {
      for (const value of splitOutside(bytes.toString('latin1'), ',')) {
        const read = parseNameAddr(value);
        if (read) parseSipUri(read.uri);
      }
    },
  },
  {
    name: 'SIP in a stream',
    seeds: sipStreams,
    run(bytes) {
      const whole = framed(bytes, bytes.length);
      const cut = framed(bytes, 7);
      if (whole.join('|') !== cut.join('|'))
        throw new Error('how a stream is cut changes what is read from it');
    },
  },
  {
    name: 'control frames',
    seeds: [latin1('25#1|authenticate|secret|tags'), latin1('14#2|route|invite10#3|ping|xyz')],
    run(bytes) {
      const reader = new FrameReader();
      for (let at = 0; at < bytes.length; at += 7) {
        allowing(FrameError, () => [...reader.read(bytes.subarray(at, at + 7))]);
      }
    },
  },
  {
    name: 'SDP',
    seeds: sdps.map(latin1),
    run: (bytes) => allowing(SdpRefused, () => readAudio(bytes.toString('latin1'))),
  },
  {
    name: 'RTP and telephone-events',
    seeds: [
      hex('80e5 0001 0000 00a0 deadbeef 050a 0140'),
      hex('9108 0002 0000 0140 deadbeef 00000001 bede0001 10aa0000 d5d5'),
    ],
    run(bytes) {
      const header = newRtpHeader();
      if (readRtp(bytes, bytes.length, header))
        new TelephoneEventReceiver().receive(bytes, 12, bytes.length - 12, 160);
    },
  },
  {
    name: 'RTCP',
    seeds: [
      hex(
        '81c8 000c 00000001 0000000000000000 00000000 00000001 00000001 00000002 00000000 00000000 00000000 00000000 00000000',
      ),
      hex('81cb 0001 00000001'),
    ],
    run(bytes) {
      const length = rewriteRtcp(bytes, bytes.length, {
        sender: 1,
        reported: 2,
        source: { first: 1, highest: 70_000, sequenceOffset: 9 },
        timestampOffset: 3,
        sent: { packets: 4, octets: 5 },
      });
      if (length > bytes.length) throw new Error('more is sent on than came');
    },
  },
  {
    name: 'store link',
    seeds: [
      latin1('{"type":"ack","stream":1,"position":2}'),
      latin1('{"type":"close","stream":1,"end":"2026-01-01"}'),
      hex('0100000001000000000000000101000000000000000000020000'),
    ],
    run(bytes) {
      const text = bytes.toString('utf8');
      allowing(LinkMalformed, () => parseAgentMessage(text));
      allowing(LinkMalformed, () => parseStoreMessage(text));
      allowing(LinkMalformed, () => decodeFrames(bytes));
      allowing(BatchMalformed, () => decodeBatch(bytes));
    },
  },
  {
    name: 'answers of a speech server',
    seeds: [
      latin1('{"partial": "je ne"}'),
      latin1('{"result": [{"conf": 0.97, "start": 1.2, "end": 1.5, "word": "non"}], "text": "non"}'),
      latin1('{"alternatives": [{"text": "non", "confidence": 231.4}]}'),
    ],
    run(bytes) {
      const answer = readAnswer(bytes.toString('utf8'));
      if (answer === undefined) return;
      if (typeof answer.text !== 'string') throw new Error('a text that is none');
      const { confidence } = answer;
      if (confidence !== undefined && !(confidence >= 0 && confidence <= 1)) throw new Error('no posterior');
    },
  },
];

function allowing(expected: new (...args: never[]) => Error, act: () => unknown): void {
  try {
    act();
  } catch (error) {
    if (!(error instanceof expected)) throw error;
  }
}
