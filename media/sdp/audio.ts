/** The audio of an offer or answer, read and written (RFC 3264, RFC 8866, RFC 4733). */
import { isIP, isIPv6 } from 'node:net';
import { SdpRefused, type Direction } from '../plane.ts';
import { attribute, parseSdp, writeLines, type SdpLine, type SdpMedia, type SdpSession } from './session.ts';

export interface Codec {
  payloadType: number;
  /** Upper case. */
  name: string;
  clockRate: number;
}

export interface AudioDescription {
  address: string;
  port: number;
  rtcpPort: number | undefined;
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

/** What the other side of a direction sees (RFC 3264 section 6.1). */
export function mirror(direction: Direction): Direction {
  switch (direction) {
    case 'sendonly':
      return 'recvonly';
    case 'recvonly':
      return 'sendonly';
    case 'sendrecv':
    case 'inactive':
      return direction;
  }
}

/** The first audio stream that plain RTP can carry. @throws SdpRefused */
export function readAudio(sdp: string): AudioDescription {
  const session = parseSdp(sdp);
  const mediaIndex = audioIndex(session);
  const media = session.media[mediaIndex]!;
  const connection = connectionOf(media.lines) ?? connectionOf(session.lines);
  if (connection === undefined || isIP(connection) === 0) {
    throw new SdpRefused('no-address', `c=${connection ?? ' is missing'}`);
  }
  const said = directionOf(media.lines) ?? directionOf(session.lines) ?? 'sendrecv';
  const nowhere = connection === '0.0.0.0' || /^[0:]+$/u.test(connection);
  const rtcp = Number(attribute(media.lines, 'rtcp')?.split(' ')[0] ?? Number.NaN);
  const ptime = Number(attribute(media.lines, 'ptime') ?? Number.NaN);
  return {
    address: connection,
    port: media.port,
    rtcpPort: Number.isInteger(rtcp) && rtcp > 0 && rtcp < 65_536 ? rtcp : undefined,
    direction: nowhere ? (said === 'sendrecv' || said === 'sendonly' ? 'sendonly' : 'inactive') : said,
    codecs: codecsOf(media),
    ptime: Number.isInteger(ptime) && ptime > 0 ? ptime : undefined,
    mediaIndex,
    mediaCount: session.media.length,
  };
}

function audioIndex({ media }: SdpSession): number {
  const audio = media.flatMap((each, index) => (each.kind === 'audio' && each.port !== 0 ? [index] : []));
  if (audio.length === 0) throw new SdpRefused('no-audio', 'no m=audio with a port');
  const plain = audio.find((index) => media[index]!.protocol.toUpperCase() === 'RTP/AVP');
  if (plain === undefined) throw new SdpRefused('transport', media[audio[0]!]!.protocol);
  return plain;
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

function codecsOf({ formats, lines }: SdpMedia): Codec[] {
  const mapped = new Map<number, [string, number]>();
  for (const { type, value } of lines) {
    if (type !== 'a' || !value.startsWith('rtpmap:')) continue;
    const [number = '', encoding = ''] = value.slice('rtpmap:'.length).trim().split(' ');
    const [name = '', rate = ''] = encoding.split('/');
    mapped.set(Number(number), [name.toUpperCase(), Number(rate)]);
  }
  return formats.flatMap((format) => {
    const payloadType = Number(format);
    const codec = mapped.get(payloadType) ?? staticCodecs[payloadType];
    if (codec === undefined || !/^\d{1,3}$/u.test(format) || payloadType > 127) return [];
    return [{ payloadType, name: codec[0], clockRate: codec[1] }];
  });
}

export interface G711Codec {
  payloadType: number;
  name: 'PCMA' | 'PCMU';
}

/** The first G.711 codec in the far end's order of preference. */
export function chooseG711(codecs: readonly Codec[]): G711Codec | undefined {
  for (const { payloadType, name, clockRate } of codecs) {
    if ((name === 'PCMA' || name === 'PCMU') && clockRate === 8_000) return { payloadType, name };
  }
  return undefined;
}

export interface OurDescription {
  address: string;
  port: number;
  direction: Direction;
  /** Payload type of telephone-event; undefined leaves it out. */
  telephoneEvent: number | undefined;
  sessionId: number;
  version: number;
}

/** Our answer: as many streams as offered, in their order, all but the audio refused with port 0 (RFC 3264 section 6). */
export function writeAnswer(offer: string, ours: OurDescription & { codec: G711Codec }): string {
  const { media } = parseSdp(offer);
  const { mediaIndex } = readAudio(offer);
  const streams = media.flatMap(({ kind, protocol, formats }, index) =>
    index === mediaIndex ? audioLines([ours.codec], ours) : [`m=${kind} 0 ${protocol} ${formats.join(' ')}`],
  );
  return writeLines([...sessionLines(ours), ...streams]);
}

/** Our offer of one audio stream. */
export function writeOffer(ours: OurDescription & { codecs: readonly G711Codec[] }): string {
  return writeLines([...sessionLines(ours), ...audioLines(ours.codecs, ours)]);
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

function audioLines(
  codecs: readonly G711Codec[],
  { port, direction, telephoneEvent }: OurDescription,
): string[] {
  const types = codecs.map(({ payloadType }) => payloadType);
  if (telephoneEvent !== undefined) types.push(telephoneEvent);
  return [
    `m=audio ${port} RTP/AVP ${types.join(' ')}`,
    ...codecs.map(({ payloadType, name }) => `a=rtpmap:${payloadType} ${name}/8000`),
    ...(telephoneEvent === undefined
      ? []
      : [`a=rtpmap:${telephoneEvent} telephone-event/8000`, `a=fmtp:${telephoneEvent} 0-15`]),
    'a=ptime:20',
    `a=${direction}`,
  ];
}
