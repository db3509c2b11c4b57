/**
 * RTP as a peer sends it, written to the capture file that SIPp plays: SIPp puts its own addresses and ports over ours, and
 * keeps sequence numbers, timestamps and pacing.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { randomInt } from 'node:crypto';

export interface RtpFrame {
  /** When the packet is sent, counted from the start of the file. */
  atMs: number;
  packet: Uint8Array;
}

export interface KeyPress {
  digit: string;
  atMs: number;
  /** 100 ms by default; never below 40 ms (ITU-T Q.24). */
  durationMs?: number;
}

export interface CallAudio {
  /** G.711 bytes, one a sample, 8 kHz; shorter than `durationMs` is filled up with silence, longer is cut. */
  g711?: Uint8Array;
  durationMs: number;
  keys?: readonly KeyPress[];
  payloadType?: number;
  eventPayloadType?: number;
  ssrc?: number;
  firstSequence?: number;
  firstTimestamp?: number;
}

const samplesPerFrame = 160;
const frameMs = 20;
const alawSilence = 0xd5;
const ulawSilence = 0xff;
const events = '0123456789*#ABCD';

/**
 * One stream of speech in 20 ms packets, in which keys take the place of audio while they are pressed: RFC 4733 events on
 * the same SSRC and sequence, one timestamp a key, a growing duration, and the end packet three times (section 2.5.1.4).
 */
export function callAudio(audio: CallAudio): RtpFrame[] {
  const payloadType = audio.payloadType ?? 8;
  const eventPayloadType = audio.eventPayloadType ?? 101;
  const ssrc = audio.ssrc ?? randomInt(0xffff_ffff);
  const timestampBase = audio.firstTimestamp ?? randomInt(0x7fff_ffff);
  let sequence = audio.firstSequence ?? randomInt(0xffff);
  const frames: RtpFrame[] = [];
  const send = (
    atMs: number,
    type: number,
    marker: boolean,
    timestamp: number,
    payload: Uint8Array,
  ): void => {
    frames.push({ atMs, packet: rtpPacket({ type, marker, sequence, timestamp, ssrc, payload }) });
    sequence = (sequence + 1) & 0xffff;
  };

  const keys = [...(audio.keys ?? [])].sort((a, b) => a.atMs - b.atMs);
  let keyUntilMs = -1;
  for (let atMs = 0, index = 0; atMs < audio.durationMs; atMs += frameMs, index += 1) {
    const next = keys[0];
    if (next !== undefined && next.atMs <= atMs) {
      keys.shift();
      keyUntilMs = atMs + (next.durationMs ?? 100);
      const timestamp = timestampBase + index * samplesPerFrame;
      for (let heldMs = 0; heldMs < keyUntilMs - atMs; heldMs += frameMs) {
        send(
          atMs + heldMs,
          eventPayloadType,
          heldMs === 0,
          timestamp,
          eventPayload(next.digit, false, heldMs + frameMs),
        );
      }
      for (let copy = 0; copy < 3; copy += 1) {
        send(
          keyUntilMs,
          eventPayloadType,
          false,
          timestamp,
          eventPayload(next.digit, true, keyUntilMs - atMs),
        );
      }
    }
    if (atMs < keyUntilMs) continue;
    const payload = new Uint8Array(samplesPerFrame).fill(payloadType === 0 ? ulawSilence : alawSilence);
    payload.set(audio.g711?.subarray(index * samplesPerFrame, (index + 1) * samplesPerFrame) ?? []);
    send(atMs, payloadType, index === 0, timestampBase + index * samplesPerFrame, payload);
  }
  return frames;
}

export interface RtpFields {
  type: number;
  marker: boolean;
  sequence: number;
  timestamp: number;
  ssrc: number;
  payload: Uint8Array;
}

/** An RTP packet without extension or contributing sources, RFC 3550 section 5.1. */
export function rtpPacket(fields: RtpFields): Uint8Array {
  const packet = Buffer.alloc(12 + fields.payload.length);
  packet[0] = 0x80;
  packet[1] = (fields.marker ? 0x80 : 0) | fields.type;
  packet.writeUInt16BE(fields.sequence & 0xffff, 2);
  packet.writeUInt32BE(fields.timestamp >>> 0, 4);
  packet.writeUInt32BE(fields.ssrc >>> 0, 8);
  packet.set(fields.payload, 12);
  return packet;
}

/** A telephone-event payload, RFC 4733 section 2.3: event, end bit and volume, duration in timestamp units. */
export function eventPayload(digit: string, end: boolean, durationMs: number): Uint8Array {
  const code = events.indexOf(digit);
  if (code < 0 || digit.length !== 1) throw new Error(`no such key: ${digit}`);
  const payload = Buffer.alloc(4);
  payload[0] = code;
  payload[1] = (end ? 0x80 : 0) | 10;
  payload.writeUInt16BE(durationMs * 8, 2);
  return payload;
}

/** A capture file (libpcap 2.4, Ethernet, IPv4, UDP) of these packets. */
export function pcapFile(frames: readonly RtpFrame[]): Uint8Array {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(65_535, 16);
  header.writeUInt32LE(1, 20);
  return Buffer.concat([header, ...frames.map(captured)]);
}

function captured({ atMs, packet }: RtpFrame): Buffer {
  const udpLength = 8 + packet.length;
  const record = Buffer.alloc(16 + 14 + 20 + udpLength);
  const micros = Math.round(atMs * 1_000);
  record.writeUInt32LE(Math.floor(micros / 1_000_000), 0);
  record.writeUInt32LE(micros % 1_000_000, 4);
  record.writeUInt32LE(record.length - 16, 8);
  record.writeUInt32LE(record.length - 16, 12);
  record.writeUInt16BE(0x0800, 16 + 12);
  const ip = record.subarray(30);
  ip[0] = 0x45;
  ip.writeUInt16BE(20 + udpLength, 2);
  ip[8] = 64;
  ip[9] = 17;
  ip.set([127, 0, 0, 1], 12);
  ip.set([127, 0, 0, 1], 16);
  let sum = 0;
  for (let at = 0; at < 20; at += 2) sum += ip.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  ip.writeUInt16BE(~sum & 0xffff, 10);
  ip.writeUInt16BE(4_000, 20);
  ip.writeUInt16BE(4_002, 22);
  ip.writeUInt16BE(udpLength, 24);
  ip.set(packet, 28);
  return record;
}

/** A sound file as G.711, 8 kHz mono, coded by sox: an encoder that is not ours. */
export async function g711Of(file: string, law: 'PCMA' | 'PCMU' = 'PCMA'): Promise<Uint8Array> {
  const { stdout } = await promisify(execFile)(
    'sox',
    [file, '-t', law === 'PCMA' ? 'al' : 'ul', '-r', '8000', '-c', '1', '-'],
    { encoding: 'buffer', maxBuffer: 64 * 1024 * 1024 },
  );
  return stdout;
}
