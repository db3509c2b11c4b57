/**
 * What one side of a session and its far end agree on, offer by offer and answer by answer (RFC 3264, RFC 4568): codec,
 * payload types, keys. Knows of packets only their terms.
 */
import { randomInt } from 'node:crypto';
import { codecOfRtpmap, formats, passes, type CodecName } from '../codec/formats.ts';
import { SdpRefused, type Direction, type RecordingIndication } from '../plane.ts';
import {
  comfortNoiseOf,
  eventsOf,
  isNowhere,
  readAudio,
  writeAnswer,
  writeOffer,
  type AudioDescription,
  type OurDescription,
} from '../sdp/audio.ts';
import { chooseCodec, codecsToOffer, ourCodecs, type NumberedCodec } from '../sdp/choice.ts';
import { writeCrypto } from '../sdp/crypto.ts';
import { mirror } from '../sdp/direction.ts';
import { KeyChain, stays, type SrtpAgreed, type SrtpPolicy } from '../srtp/agreement.ts';
import type { MasterKey } from '../srtp/keys.ts';
import type { Suite } from '../srtp/suites.ts';
import type { SideTerms } from './messages.ts';

const firstDynamicType = 96;
const usualEventType = 101;

/** Everything that a failed re-offer must give back. */
export interface Agreement {
  remote: AudioDescription | undefined;
  codec: NumberedCodec | undefined;
  srtp: SrtpAgreed | undefined;
  terms: SideTerms | undefined;
  /** What the far end may send, by payload type, as `rtpmap` has it. */
  received: Record<string, string>;
}

const unspoken: Agreement = {
  remote: undefined,
  codec: undefined,
  srtp: undefined,
  terms: undefined,
  received: {},
};

/** What our last offer said, to read its answer by. */
interface Offered {
  codecs: readonly NumberedCodec[];
  event: { payloadType: number; clockRate: number };
  /** Whether it held keys. */
  keys: boolean;
}

export interface Place {
  address: string;
  port: number;
}

export class Negotiation implements Disposable {
  /** The other side of the session: what it speaks decides what we choose and offer here. */
  other: Negotiation | undefined;
  agreement: Agreement = unspoken;
  /** What our descriptions say of whether the conversation is recorded. */
  indication: RecordingIndication | undefined;
  /** Where our descriptions tell the far end to send. */
  at: Place;
  readonly #sessionId = randomInt(1, 2 ** 31);
  readonly #keys: KeyChain;
  #policy: SrtpPolicy = 'accept';
  #offered: Offered | undefined;
  #version = 0;
  #described = '';

  /** @param newKey makes keys of our own where they are not ours to make: the media plane's that uses them */
  constructor({ address, port }: Place, newKey?: (suite: Suite) => MasterKey) {
    this.at = { address, port };
    this.#keys = new KeyChain(newKey);
  }

  get codec(): CodecName | undefined {
    return this.agreement.codec?.name;
  }

  /** Whether the sides speak codecs that do not pass to each other: one of them must be offered another. */
  get stuck(): boolean {
    const [own, other] = [this.codec, this.other?.codec];
    return own !== undefined && other !== undefined && !passes(own, other);
  }

  /**
   * What the answer to an offer will hold: no key, the one that the far end has of us, or a new one.
   *
   * @throws SdpRefused
   */
  keysToAnswer(offer: string, policy = this.#policy): 'none' | 'same' | 'new' {
    const { crypto } = readAudio(offer, policy);
    const [line] = crypto;
    const found = line === undefined ? 'none' : stays(this.agreement.srtp, line) ? 'same' : 'new';
    for (const { key } of crypto) key.zero();
    return found;
  }

  /** Whether an offer, asked for with the same words, will hold keys that no far end has seen. */
  newKeysToOffer(peer?: SrtpPolicy, to: 'same' | 'anyone' = 'same'): boolean {
    if (peer !== undefined) return peer === 'offer' || peer === 'require';
    return this.agreement.srtp !== undefined && to === 'anyone';
  }

  /** @throws SdpRefused, and nothing has changed */
  answer(offer: string, direction: Direction | undefined, policy = this.#policy): string {
    const remote = readAudio(offer, policy);
    const srtp = this.#keys.answer(remote.crypto, this.agreement.srtp);
    const codec = this.#agree(remote, srtp, undefined);
    this.#policy = policy;
    const others = this.other?.agreement.remote;
    const theirs = others === undefined ? undefined : ourCodecs(others.codecs);
    const fmtp = theirs?.find(({ name }) => name === codec.name)?.fmtp;
    const event = eventsOf(remote.codecs, formats[codec.name].clockRate);
    return this.#numbered((ours) =>
      writeAnswer(offer, remote.mediaIndex, {
        ...ours,
        // G.729 with and without annex B are two codecs (RFC 4856): what was offered is what is answered.
        codecs: [{ ...codec, fmtp: fmtp ?? (codec.name === 'G729' ? codec.fmtp : undefined) }],
        telephoneEvent: event,
        rtcpMux: remote.rtcpMux,
        protocol: remote.protocol,
        crypto: srtp === undefined ? [] : [writeCrypto({ tag: srtp.tag, suite: srtp.suite, key: srtp.own })],
        direction: direction ?? mirror(remote.direction),
      }),
    );
  }

  /**
   * @param peer the policy of a peer that is asked for the first time: what another one agreed to is not its business
   * @param to `anyone`: another telephone may answer, which counts our packets from nought
   */
  offer(direction: Direction, peer?: SrtpPolicy, to: 'same' | 'anyone' = 'same'): string {
    if (peer !== undefined) {
      this.#policy = peer;
      this.agreement = unspoken;
      this.#keys.renew();
    }
    const policy = this.#policy;
    const { remote, srtp, terms } = this.agreement;
    const codecs = this.#codecsToOffer();
    const event = this.#eventToOffer(codecs);
    const keys = srtp !== undefined || (terms === undefined && (policy === 'offer' || policy === 'require'));
    const secure = srtp === undefined ? policy === 'require' : remote?.secure === true;
    this.#offered = { codecs, event, keys };
    return this.#numbered((ours) =>
      writeOffer({
        ...ours,
        codecs,
        telephoneEvent: event,
        rtcpMux: terms?.rtcpMux === true,
        protocol: keys && secure ? 'RTP/SAVP' : 'RTP/AVP',
        crypto: keys ? this.#keys.offer(srtp, to).map(writeCrypto) : [],
        direction,
      }),
    );
  }

  /** @throws SdpRefused, and nothing has changed */
  accept(answer: string): void {
    const offered = this.#offered ?? this.#plainest();
    const remote = readAudio(answer, offered.keys ? this.#policy : 'off');
    const srtp = this.#keys.accept(remote.crypto, this.agreement.srtp);
    if (remote.crypto.length > 0 && srtp === undefined)
      throw new SdpRefused('mismatch', 'the answer takes none of the keys that were offered');
    this.#agree(remote, srtp, offered);
  }

  [Symbol.dispose](): void {
    this.#keys[Symbol.dispose]();
  }

  #agree(
    remote: AudioDescription,
    srtp: SrtpAgreed | undefined,
    offered: Offered | undefined,
  ): NumberedCodec {
    const listed = ourCodecs(remote.codecs);
    const codec = chooseCodec(listed, { own: this.codec, other: this.other?.codec });
    if (codec === undefined) {
      const names = remote.codecs.map(({ name }) => name).join(', ');
      throw new SdpRefused('no-codec', `only ${names || 'nothing'} is offered`);
    }
    const { clockRate } = formats[codec.name];
    const event = eventsOf(remote.codecs, clockRate);
    const sentAs = offered?.codecs.find(({ name }) => name === codec.name)?.payloadType;
    const received = [...listed, ...(offered?.codecs ?? [])].map(({ name, payloadType }) => [
      payloadType,
      formats[name].rtpmap,
    ]);
    const events = [event, offered?.event].flatMap((each) =>
      each === undefined ? [] : [[each.payloadType, `telephone-event/${each.clockRate}`]],
    );
    const before = this.agreement.terms;
    // A hold by the address of nought (RFC 3264 section 8.4) says that it hears nothing, not that it is elsewhere.
    const { address, port, rtcpPort, rtcpAddress } =
      isNowhere(remote.address) && before !== undefined
        ? before
        : { ...remote, rtcpPort: remote.rtcpPort ?? remote.port + 1 };
    this.agreement = {
      remote,
      codec,
      srtp,
      received: Object.fromEntries([...received, ...events]) as Record<string, string>,
      terms: {
        address,
        port,
        rtcpPort,
        rtcpAddress,
        rtcpMux: remote.rtcpMux,
        codec: codec.name,
        clockRate,
        audioType: codec.payloadType,
        receivedAudioType: sentAs === codec.payloadType ? undefined : sentAs,
        eventType: event?.payloadType,
        eventClockRate: event?.clockRate ?? clockRate,
        receivedEventType:
          offered?.event.payloadType === event?.payloadType ? undefined : offered?.event.payloadType,
        comfortNoiseType: comfortNoiseOf(remote.codecs),
        listening: remote.direction === 'sendrecv' || remote.direction === 'recvonly',
        srtp:
          srtp === undefined
            ? undefined
            : {
                suite: srtp.suite.name,
                own: srtp.own.memory,
                theirs: srtp.theirs.memory,
                mkiBytes: srtp.mkiBytes,
              },
      },
    };
    return codec;
  }

  /** Codecs numbered as this side has them already, else as the other side does, so that no number means two things. */
  #codecsToOffer(): NumberedCodec[] {
    const others = this.other?.agreement.remote;
    const listed = others === undefined ? [] : ourCodecs(others.codecs);
    const spoken = { own: this.codec, other: this.other?.codec };
    const taken = new Map(
      Object.entries(this.agreement.received).map(([type, name]) => [Number(type), name]),
    );
    return codecsToOffer(listed, spoken).map((codec) => {
      const { rtpmap } = formats[codec.name];
      const known = [...taken].find(([, name]) => codecOfRtpmap(name) === codec.name)?.[0];
      const free = taken.get(codec.payloadType) === undefined ? codec.payloadType : freeType(taken);
      const payloadType = known ?? free;
      taken.set(payloadType, rtpmap);
      return { ...codec, payloadType };
    });
  }

  #eventToOffer(codecs: readonly NumberedCodec[]): { payloadType: number; clockRate: number } {
    const { terms } = this.agreement;
    const clockRate = formats[codecs[0]!.name].clockRate;
    if (terms?.eventType !== undefined)
      return { payloadType: terms.eventType, clockRate: terms.eventClockRate };
    const taken = new Map(codecs.map(({ payloadType, name }) => [payloadType, name as string]));
    const wished = this.other?.agreement.terms?.eventType ?? usualEventType;
    return { payloadType: taken.has(wished) ? freeType(taken) : wished, clockRate };
  }

  /** An answer to an offer that we never wrote: read as if it were to our plainest. */
  #plainest(): Offered {
    const codecs = this.#codecsToOffer();
    return { codecs, event: this.#eventToOffer(codecs), keys: false };
  }

  /** Our description, its version raised only when it says something new (RFC 3264 section 8). */
  #numbered(
    write: (
      ours: Pick<OurDescription, 'address' | 'port' | 'sessionId' | 'version' | 'indication'>,
    ) => string,
  ): string {
    const ours = {
      ...this.at,
      sessionId: this.#sessionId,
      indication: this.indication,
    };
    const content = write({ ...ours, version: 0 });
    if (content !== this.#described) this.#version += 1;
    this.#described = content;
    return write({ ...ours, version: this.#version });
  }
}

function freeType(taken: ReadonlyMap<number, string>): number {
  let type = firstDynamicType;
  while (taken.has(type)) type += 1;
  return type;
}
