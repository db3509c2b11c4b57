/** The audio of an offer or answer, read and written (RFC 3264, RFC 8866, RFC 4733). */
import { isIP, isIPv6 } from 'node:net';
import { SdpRefused, type Direction, type RecordingIndication } from '../plane.ts';
import { formats } from '../codec/formats.ts';
import type { SrtpPolicy } from '../srtp/agreement.ts';
import type { NumberedCodec } from './choice.ts';
import { readCrypto, type CryptoLine } from './crypto.ts';
import { attribute, parseSdp, writeLines, type SdpLine, type SdpMedia, type SdpSession } from './session.ts';

export interface Codec {
  payloadType: number;
  /** Upper case. */
  name: string;
  clockRate: number;
  /** Format parameters (`a=fmtp`), as they stand there. */
  fmtp: string | undefined;
}

export interface AudioDescription {
  address: string;
  port: number;
  rtcpPort: number | undefined;
  /** Where RTCP goes when that is another address (RFC 3605). */
  rtcpAddress: string | undefined;
  /** RTCP may share the port of RTP (RFC 5761). */
  rtcpMux: boolean;
  /** `RTP/SAVP` and its like, as written. */
  protocol: string;
  /** Whether the protocol is one of SRTP. With keys under a plain protocol SRTP is a matter of taste (RFC 8643). */
  secure: boolean;
  /** Keys that the far end offers or answers with, in its order; none where SRTP is not wanted. */
  crypto: CryptoLine[];
  /** As the far end means it: an address of nought is a hold (RFC 3264 section 8.4). */
  direction: Direction;
  codecs: Codec[];
  ptime: number | undefined;
  /** Which `m=` of how many. */
  mediaIndex: number;
  mediaCount: number;
}

/** Payload types that mean something without an rtpmap (RFC 3551 table 4), as far as telephony uses them. */
const staticCodecs: Record<number, [string, number]> = {
  0: ['PCMU', 8_000],
  3: ['GSM', 8_000],
  4: ['G723', 8_000],
  8: ['PCMA', 8_000],
  9: ['G722', 8_000],
  13: ['CN', 8_000],
  18: ['G729', 8_000],
};

const directions: readonly Direction[] = ['sendrecv', 'sendonly', 'recvonly', 'inactive'];

/**
 * The audio stream that suits the policy best: one with keys where they are wanted, else the first of plain RTP.
 *
 * @throws SdpRefused
 */
export function readAudio(sdp: string, srtp: SrtpPolicy = 'off'): AudioDescription {
  const session = parseSdp(sdp);
  const { index: mediaIndex, secure, crypto } = chooseStream(session, srtp);
  const media = session.media[mediaIndex]!;
  const connection = connectionOf(media.lines) ?? connectionOf(session.lines);
  if (connection === undefined || isIP(connection) === 0) {
    throw new SdpRefused('no-address', `c=${connection ?? ' is missing'}`);
  }
  const said = directionOf(media.lines) ?? directionOf(session.lines) ?? 'sendrecv';
  const nowhere = isNowhere(connection);
  const [rtcpPort = '', , , rtcpAddress = ''] = attribute(media.lines, 'rtcp')?.split(' ') ?? [];
  const rtcp = Number(rtcpPort);
  const ptime = Number(attribute(media.lines, 'ptime') ?? Number.NaN);
  return {
    address: connection,
    port: media.port,
    rtcpPort: Number.isInteger(rtcp) && rtcp > 0 && rtcp < 65_536 ? rtcp : undefined,
    rtcpAddress: isIP(rtcpAddress) === 0 ? undefined : rtcpAddress,
    rtcpMux: attribute(media.lines, 'rtcp-mux') !== undefined,
    protocol: media.protocol,
    secure,
    crypto,
    direction: nowhere ? (said === 'sendrecv' || said === 'sendonly' ? 'sendonly' : 'inactive') : said,
    codecs: codecsOf(media),
    ptime: Number.isInteger(ptime) && ptime > 0 ? ptime : undefined,
    mediaIndex,
    mediaCount: session.media.length,
  };
}

/** The unspecified address, `0.0.0.0` or `::` however written: nobody is there. */
export function isNowhere(address: string): boolean {
  return address === '0.0.0.0' || (isIPv6(address) && /^[0:]+$/u.test(address));
}

/** Whether a description asks for an image stream: a fax that changes over to T.38 (ITU-T T.38 annex D). @throws SdpRefused */
export function offersImage(sdp: string): boolean {
  return parseSdp(sdp).media.some(({ kind, port }) => kind === 'image' && port !== 0);
}

/** Whether a description holds keys (RFC 4568), of whatever suite. @throws SdpRefused */
export function holdsKeys(sdp: string): boolean {
  return parseSdp(sdp).media.some(({ lines }) => attribute(lines, 'crypto') !== undefined);
}

interface Stream {
  index: number;
  secure: boolean;
  crypto: CryptoLine[];
}

const plainProtocols = new Set(['RTP/AVP', 'RTP/AVPF']);
const secureProtocols = new Set(['RTP/SAVP', 'RTP/SAVPF']);

function chooseStream({ media }: SdpSession, srtp: SrtpPolicy): Stream {
  const audio = media.flatMap((each, index) => (each.kind === 'audio' && each.port !== 0 ? [index] : []));
  if (audio.length === 0) throw new SdpRefused('no-audio', 'no m=audio with a port');
  const streams = audio.flatMap<Stream>((index) => {
    const { protocol, lines } = media[index]!;
    const secure = secureProtocols.has(protocol.toUpperCase());
    if (!secure && !plainProtocols.has(protocol.toUpperCase())) return [];
    const crypto = srtp === 'off' ? [] : readCrypto(lines);
    if (crypto.length === 0 && (secure || srtp === 'require')) return [];
    return [{ index, secure, crypto }];
  });
  const chosen = streams.find(({ crypto }) => crypto.length > 0) ?? streams[0];
  if (chosen === undefined) {
    throw new SdpRefused('transport', `${media[audio[0]!]!.protocol} under the policy "${srtp}" for SRTP`);
  }
  return chosen;
}

/** Address of the first `c=` line; a multicast address's TTL is cut off. */
function connectionOf(lines: readonly SdpLine[]): string | undefined {
  const value = lines.find(({ type }) => type === 'c')?.value;
  return value?.split(' ')[2]?.split('/')[0];
}

function directionOf(lines: readonly SdpLine[]): Direction | undefined {
  return directions.find((direction) =>
    lines.some(({ type, value }) => type === 'a' && value.trim() === direction),
  );
}

function codecsOf({ formats: types, lines }: SdpMedia): Codec[] {
  const mapped = new Map<number, [string, number]>();
  const parameters = new Map<number, string>();
  for (const { type, value } of lines) {
    if (type !== 'a') continue;
    const [, name, number = '', rest = ''] = /^(rtpmap|fmtp):\s*(\d{1,3})\s+(.*)$/u.exec(value) ?? [];
    if (name === 'fmtp') parameters.set(Number(number), rest.trim());
    if (name !== 'rtpmap') continue;
    const [encoding = '', rate = ''] = rest.trim().split('/');
    mapped.set(Number(number), [encoding.toUpperCase(), Number(rate)]);
  }
  return types.flatMap((format) => {
    const payloadType = Number(format);
    const codec = mapped.get(payloadType) ?? staticCodecs[payloadType];
    if (codec === undefined || !/^\d{1,3}$/u.test(format) || payloadType > 127) return [];
    return [{ payloadType, name: codec[0], clockRate: codec[1], fmtp: parameters.get(payloadType) }];
  });
}

/** The payload type of keys (RFC 4733), with the clock of the audio if the far end has one; else its first. */
export function eventsOf(codecs: readonly Codec[], clockRate: number): Codec | undefined {
  const events = codecs.filter(({ name }) => name === 'TELEPHONE-EVENT');
  return events.find((event) => event.clockRate === clockRate) ?? events[0];
}

/** Comfort noise of its own payload type (RFC 3389), where it is not the static one. */
export function comfortNoiseOf(codecs: readonly Codec[]): number | undefined {
  return codecs.find(({ name, clockRate }) => name === 'CN' && clockRate === 8_000)?.payloadType;
}

export interface OurDescription {
  address: string;
  port: number;
  direction: Direction;
  codecs: readonly NumberedCodec[];
  /** Payload type and clock of telephone-event; undefined leaves it out. */
  telephoneEvent: { payloadType: number; clockRate: number } | undefined;
  rtcpMux: boolean;
  /** Of the offer in an answer; ours in an offer. */
  protocol: string;
  /** Lines `crypto:...`, without their `a=`. */
  crypto: readonly string[];
  sessionId: number;
  version: number;
  /** `a=record` (RFC 7866 section 6.2); undefined leaves it out. */
  indication?: RecordingIndication | undefined;
}

/**
 * Our answer: as many streams as offered, in their order, all but the audio refused with port 0 (RFC 3264 section 6).
 *
 * @param mediaIndex which stream is the audio (`AudioDescription`)
 */
export function writeAnswer(offer: string, mediaIndex: number, ours: OurDescription): string {
  const { media } = parseSdp(offer);
  const streams = media.flatMap(({ kind, protocol, formats: types }, index) =>
    index === mediaIndex ? audioLines(ours) : [`m=${kind} 0 ${protocol} ${types.join(' ')}`],
  );
  return writeLines([...sessionLines(ours), ...streams]);
}

/** Our offer of one audio stream. */
export function writeOffer(ours: OurDescription): string {
  return writeLines([...sessionLines(ours), ...audioLines(ours)]);
}

function sessionLines({ address, sessionId, version }: OurDescription): string[] {
  const network = isIPv6(address) ? 'IN IP6' : 'IN IP4';
  return [
    'v=0',
    `o=tacet ${sessionId} ${version} ${network} ${address}`,
    's=-',
    `c=${network} ${address}`,
    't=0 0',
  ];
}

function audioLines({ codecs, telephoneEvent, ...ours }: OurDescription): string[] {
  const types = codecs.map(({ payloadType }) => payloadType);
  if (telephoneEvent !== undefined) types.push(telephoneEvent.payloadType);
  return [
    `m=audio ${ours.port} ${ours.protocol} ${types.join(' ')}`,
    ...codecs.flatMap(({ payloadType, name, fmtp }) => [
      `a=rtpmap:${payloadType} ${formats[name].rtpmap}`,
      ...(fmtp === undefined ? [] : [`a=fmtp:${payloadType} ${fmtp}`]),
    ]),
    ...(telephoneEvent === undefined
      ? []
      : [
          `a=rtpmap:${telephoneEvent.payloadType} telephone-event/${telephoneEvent.clockRate}`,
          `a=fmtp:${telephoneEvent.payloadType} 0-15`,
        ]),
    ...(ours.rtcpMux ? ['a=rtcp-mux'] : []),
    ...ours.crypto.map((line) => `a=${line}`),
    'a=ptime:20',
    `a=${ours.direction}`,
    ...(ours.indication === undefined ? [] : [`a=record:${ours.indication}`]),
  ];
}
