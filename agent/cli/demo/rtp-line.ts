import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { randomInt } from 'node:crypto';
import type { Address } from './sip-transactions.ts';

const frameMs = 20;
const samplesPerFrame = 160;
const alawSilence = 0xd5;
const keys = '0123456789*#ABCD';

interface FarEnd extends Address {
  payloadType: number;
  eventType: number | undefined;
  /** False while the far end holds us: it does not want to hear. */
  listens: boolean;
}

interface Press {
  code: number;
  startedAt: number;
  durationMs: number;
  timestamp: number | undefined;
  done: () => void;
}

/**
 * The media of one telephone: PCMA every 20 ms and keys as RFC 4733 events out, everything that comes in counted. What is said
 * and offered is PCMA and telephone-event only: the demo's two ends need no choice.
 */
export class RtpLine implements AsyncDisposable {
  readonly address: string;
  readonly port: number;
  /** Keys that the far end pressed, in order. */
  readonly digits: string[] = [];
  sent = 0;
  received = 0;
  readonly #socket: Socket;
  readonly #ssrc = randomInt(1, 0xffff_ffff);
  readonly #sessionId = randomInt(1, 0x7fff_ffff);
  #sequence = randomInt(0x8000);
  #timestamp = randomInt(0x7fff_ffff);
  #descriptionVersion = 0;
  #farEnd: FarEnd | undefined;
  #speech: Uint8Array = new Uint8Array();
  #position = 0;
  #clock: NodeJS.Timeout | undefined;
  #startedAt = 0;
  #framesDue = 0;
  #presses: Press[] = [];
  #lastEvent: number | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    ({ address: this.address, port: this.port } = socket.address());
    socket.on('message', (packet) => this.#receive(packet));
    // The far end may have closed its port already (ICMP): its BYE is on the way.
    socket.on('error', () => undefined);
  }

  static async open(address = '127.0.0.1'): Promise<RtpLine> {
    const socket = createSocket('udp4');
    socket.bind(0, address);
    await once(socket, 'listening');
    return new RtpLine(socket);
  }

  /** What we can do, as an offer (RFC 3264). */
  offer(): string {
    return this.#describe(8, 101, 'sendrecv');
  }

  /** Takes the far end's offer and answers it, mirroring its direction. No offer (late offer) is answered with ours. */
  answer(offer: string): string {
    if (offer === '') return this.offer();
    this.heed(offer);
    const direction = /^a=(sendonly|recvonly|inactive)/mu.exec(offer)?.[1];
    const mirrored = { sendonly: 'recvonly', recvonly: 'sendonly', inactive: 'inactive' }[direction ?? ''];
    return this.#describe(8, this.#farEnd?.eventType, mirrored ?? 'sendrecv');
  }

  /** Takes the far end's description: from now on media goes there. */
  heed(sdp: string): void {
    const audio = /^m=audio (\d+) \S+ ([\d ]+)/mu.exec(sdp);
    if (audio === null) return;
    const event = /^a=rtpmap:(\d+) telephone-event\/8000/imu.exec(sdp)?.[1];
    // The audio section's own connection line comes after the session's (RFC 8866 section 5.7).
    const address = [...sdp.matchAll(/^c=IN IP4 (\S+)/gmu)].at(-1)?.[1] ?? '0.0.0.0';
    this.#farEnd = {
      address,
      port: Number(audio[1]),
      payloadType: 8,
      eventType: event === undefined ? undefined : Number(event),
      listens: address !== '0.0.0.0' && !/^a=(sendonly|inactive)/mu.test(sdp),
    };
  }

  /** Speaks from now on: `speech` over and over, silence between. It goes out as soon as the far end is known. */
  speak(speech: Uint8Array, pauseMs = 1_000): void {
    const silence = new Uint8Array(Math.round(pauseMs / frameMs) * samplesPerFrame).fill(alawSilence);
    const frames = Math.ceil(speech.length / samplesPerFrame) * samplesPerFrame;
    this.#speech = new Uint8Array(frames + silence.length).fill(alawSilence);
    this.#speech.set(speech);
    this.#startedAt = performance.now();
    this.#clock ??= setInterval(() => this.#tick(), frameMs);
  }

  /** Presses a key for so long (RFC 4733); resolves when it was let go, at once when nobody listens for keys. */
  press(digit: string, durationMs = 120): Promise<void> {
    const code = keys.indexOf(digit);
    if (this.#farEnd?.eventType === undefined || this.#clock === undefined || code < 0) {
      return Promise.resolve();
    }
    return new Promise((done) => {
      this.#presses.push({ code, startedAt: 0, durationMs, timestamp: undefined, done });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#clock);
    for (const { done } of this.#presses) done();
    this.#presses = [];
    const closed = once(this.#socket, 'close');
    this.#socket.close();
    await closed;
  }

  /** A timer that comes late sends what is due, so that the rate stays 50 packets a second. */
  #tick(): void {
    const due = Math.floor((performance.now() - this.#startedAt) / frameMs);
    // After a long stall (the machine slept) the past is not made up for.
    this.#framesDue = Math.max(this.#framesDue, due - 10);
    for (; this.#framesDue < due; this.#framesDue += 1) this.#frame();
  }

  #frame(): void {
    const farEnd = this.#farEnd;
    if (farEnd !== undefined && farEnd.listens) {
      const press = this.#presses[0];
      if (press === undefined || farEnd.eventType === undefined) {
        const voice = this.#speech.subarray(this.#position, this.#position + samplesPerFrame);
        this.#send(farEnd, farEnd.payloadType, this.#timestamp, this.sent === 0, voice);
      } else {
        this.#sendEvent(farEnd, farEnd.eventType, press);
      }
    }
    this.#timestamp += samplesPerFrame;
    this.#position = (this.#position + samplesPerFrame) % this.#speech.length;
  }

  /** One packet a frame while the key is down, its end three times (RFC 4733 section 2.5.1). */
  #sendEvent(farEnd: FarEnd, eventType: number, press: Press): void {
    const begins = press.timestamp === undefined;
    press.timestamp ??= this.#timestamp;
    const duration = this.#timestamp - press.timestamp + samplesPerFrame;
    const over = duration >= press.durationMs * 8;
    const payload = Uint8Array.of(press.code, (over ? 0x80 : 0) | 10, duration >> 8, duration & 0xff);
    for (let copy = 0; copy < (over ? 3 : 1); copy += 1) {
      this.#send(farEnd, eventType, press.timestamp, begins, payload);
    }
    if (over) {
      this.#presses.shift();
      press.done();
    }
  }

  #send(farEnd: FarEnd, type: number, timestamp: number, marker: boolean, payload: Uint8Array): void {
    const packet = Buffer.alloc(12 + payload.length);
    packet[0] = 0x80;
    packet[1] = (marker ? 0x80 : 0) | type;
    packet.writeUInt16BE(this.#sequence, 2);
    packet.writeUInt32BE(timestamp >>> 0, 4);
    packet.writeUInt32BE(this.#ssrc, 8);
    packet.set(payload, 12);
    this.#sequence = (this.#sequence + 1) & 0xffff;
    this.sent += 1;
    this.#socket.send(packet, farEnd.port, farEnd.address, () => undefined);
  }

  #receive(packet: Buffer): void {
    if (packet.length < 12 || packet[0]! >> 6 !== 2) return;
    this.received += 1;
    if ((packet[1]! & 0x7f) !== (this.#farEnd?.eventType ?? 101) || packet.length < 16) return;
    // One timestamp is one key, however many packets tell of it.
    const timestamp = packet.readUInt32BE(4);
    if (timestamp === this.#lastEvent) return;
    this.#lastEvent = timestamp;
    const digit = keys[packet[12]!];
    if (digit !== undefined) this.digits.push(digit);
  }

  #describe(payloadType: number, eventType: number | undefined, direction: string): string {
    this.#descriptionVersion += 1;
    const events =
      eventType === undefined
        ? []
        : [`a=rtpmap:${eventType} telephone-event/8000`, `a=fmtp:${eventType} 0-15`];
    return [
      'v=0',
      `o=- ${this.#sessionId} ${this.#descriptionVersion} IN IP4 ${this.address}`,
      's=-',
      `c=IN IP4 ${this.address}`,
      't=0 0',
      `m=audio ${this.port} RTP/AVP ${[payloadType, eventType].filter((type) => type !== undefined).join(' ')}`,
      `a=rtpmap:${payloadType} PCMA/8000`,
      ...events,
      'a=ptime:20',
      `a=${direction}`,
      '',
    ].join('\r\n');
  }
}
