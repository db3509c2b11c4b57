/** Our own socket for one side of a call at rtpengine: what we play leaves by it, copies of what the far end sends come to it. */
import { randomBytes, randomInt } from 'node:crypto';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { formats, type PlayedCodec } from '../codec/formats.ts';
import type { Encoded } from '../prompts/encoded.ts';
import { Playback } from '../relay/playback.ts';
import { frameMs } from '../relay/messages.ts';
import { rtpHeaderBytes, writeHeader } from '../rtp/packet.ts';
import type { Place } from '../relay/negotiation.ts';
import { pause } from './pause.ts';

const largestPacket = 1_500;

export interface LineEvents {
  /** The server itself: with an address of its own in SDP (`interface=ONE!OTHER`), copies may come from either. */
  server: string;
  /** A copy of what the far end sent. The bytes are the listener's. */
  onCopy(packet: Uint8Array): void;
  /** A packet from elsewhere than the server. */
  onStranger(): void;
}

export interface PlayTerms {
  codec: PlayedCodec;
  payloadType: number;
  /** Asked before each frame: false ends the playback there. */
  open: () => boolean;
}

export class Line implements Disposable {
  readonly port: number;
  /** Where what the far end is to hear goes, and whence copies come: set when the server has said. */
  out: Place | undefined;
  tap: Place | undefined;
  readonly #socket: Socket;
  readonly #packet = Buffer.alloc(largestPacket);
  readonly #ssrc = randomBytes(4).readUInt32BE();
  #sequence = randomInt(0x10000);
  #timestamp = randomInt(2 ** 31);
  #stamped = performance.now();
  #closed = false;

  private constructor(socket: Socket, events: LineEvents) {
    this.#socket = socket;
    this.port = socket.address().port;
    socket.on('message', (packet, from) => this.#received(packet, from, events));
    // An unreachable server is found by its pings and by its counts, for all calls at once.
    socket.on('error', () => undefined);
  }

  /** @param address local address that the server reaches @throws when no socket can be had there */
  static async open(address: string, events: LineEvents): Promise<Line> {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    try {
      socket.bind(0, address);
      await once(socket, 'listening');
      return new Line(socket, events);
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  /** Sends audio frame by frame at its pace. @returns frames sent, and whether that was all */
  async play(
    audio: Encoded,
    repeat: boolean,
    terms: PlayTerms,
    signal: AbortSignal,
  ): Promise<{ frames: number; whole: boolean }> {
    const playback = new Playback(0, audio, repeat, performance.now());
    this.#advance(formats[terms.codec].clockRate);
    let marker = true;
    while (!playback.over) {
      const now = performance.now();
      if (!playback.catchUp(now)) break;
      if (now < playback.dueAt) await pause(playback.dueAt - now, signal);
      if (signal.aborted || this.#closed || !terms.open()) break;
      this.#send(playback, terms, marker);
      marker = false;
    }
    // The last frame has been heard when its time is over.
    if (playback.over) await pause(Math.max(0, playback.dueAt - performance.now()), signal);
    return { frames: playback.sent, whole: playback.over };
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }

  #send(playback: Playback, { codec, payloadType }: PlayTerms, marker: boolean): void {
    const length = playback.writeFrame(codec, this.#packet, rtpHeaderBytes);
    playback.sent += 1;
    this.#packet[0] = 0x80;
    writeHeader(this.#packet, payloadType, marker, this.#sequence, this.#timestamp, this.#ssrc);
    this.#sequence = (this.#sequence + 1) & 0xffff;
    this.#timestamp = (this.#timestamp + (formats[codec].clockRate / 1_000) * frameMs) >>> 0;
    this.#stamped = performance.now();
    // A copy: the socket may send after we have written the next.
    if (this.out !== undefined)
      this.#socket.send(
        Buffer.from(this.#packet.subarray(0, rtpHeaderBytes + length)),
        this.out.port,
        this.out.address,
      );
  }

  /** Time went by since the last frame: it goes by in the timestamps as well (RFC 3550 section 5.1). */
  #advance(clockRate: number): void {
    const elapsed = Math.floor(((performance.now() - this.#stamped) * clockRate) / 1_000);
    this.#timestamp = (this.#timestamp + elapsed) >>> 0;
  }

  #received(packet: Uint8Array, from: RemoteInfo, events: LineEvents): void {
    const is = (endpoint: Place | undefined): boolean =>
      endpoint?.port === from.port && (endpoint.address === from.address || events.server === from.address);
    if (is(this.tap)) events.onCopy(packet);
    else if (!is(this.out)) events.onStranger();
  }
}
