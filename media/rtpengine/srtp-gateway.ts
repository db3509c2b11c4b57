/**
 * SRTP at rtpengine: a call of its own at the same server stands between a far end that has keys and the port that the
 * call has for it, so that the call knows plain RTP alone. One call cannot do both: of two far ends that have keys the
 * server hands each the key of the other.
 *
 * The keys that the far end is told are the server's. Whoever offers another key than before gets another gateway: it may be
 * another telephone, which counts our packets from nought (RFC 3711 section 3.3.1).
 */
import { SdpRefused } from '../plane.ts';
import type { Latching } from '../relay/messages.ts';
import type { Place } from '../relay/negotiation.ts';
import { readAudio } from '../sdp/audio.ts';
import { writeCrypto, type CryptoLine } from '../sdp/crypto.ts';
import type { SrtpAgreed } from '../srtp/agreement.ts';
import type { MasterKey } from '../srtp/keys.ts';
import type { Suite } from '../srtp/suites.ts';
import type { FarEnd } from './engine-call.ts';
import { anything, NgCall, NgIncomplete, type Described } from './ng-call.ts';
import type { NgClient } from './ng.ts';

export class SrtpGateway {
  /** Where the far end is to send. */
  readonly place: Place;
  readonly #call: NgCall;
  readonly #inner: Place;
  readonly #lines: readonly CryptoLine[];

  private constructor(call: NgCall, inner: Place, offered: string) {
    const { address, port, crypto } = readAudio(offered, 'require');
    this.place = { address, port };
    this.#call = call;
    this.#inner = inner;
    this.#lines = crypto;
  }

  /**
   * @param id    its name at the server: never used twice
   * @param inner the port of the call that it stands before
   * @throws NgUnanswered @throws NgRefused
   */
  static async open(server: NgClient, id: string, inner: Place, latching: Latching): Promise<SrtpGateway> {
    const call = new NgCall(server, id, latching);
    const offered = await call.negotiate('offer', 'inside', 'outside', insideAt(inner), towards('RTP/SAVP'));
    return new SrtpGateway(call, inner, offered);
  }

  /** The key that the server sends with under a suite. @throws SdpRefused when it does not speak it: the call passes without us */
  keyOf(suite: Suite): MasterKey {
    return this.#lineOf(suite).key;
  }

  /** The far end is there, with keys or, where it took none of those it was offered, without. @returns where the call finds it */
  async agree(far: FarEnd, srtp: SrtpAgreed | undefined): Promise<Place> {
    const { address, port, codec, event } = far;
    const spoken = { codecs: [codec], event };
    const inner = { ...insideAt(this.#inner), ...spoken };
    const outer: Described = { address, port, ...spoken, direction: 'sendrecv' };
    if (srtp === undefined) {
      await this.#call.negotiate('offer', 'inside', 'outside', inner, towards('RTP/AVP'));
    } else {
      const offered = await this.#call.negotiate('offer', 'inside', 'outside', inner, towards('RTP/SAVP'));
      this.#checkKey(srtp, offered);
      const { tag } = this.#lineOf(srtp.suite);
      outer.crypto = [writeCrypto({ tag, suite: srtp.suite, key: srtp.theirs })];
    }
    const answered = await this.#call.negotiate('answer', 'inside', 'outside', outer);
    const { address: at, port: on } = readAudio(answered);
    return { address: at, port: on };
  }

  async end(): Promise<void> {
    for (const { key } of this.#lines) key.zero();
    await this.#call.end();
  }

  /** The far end was told one key: the server must go on with it. */
  #checkKey({ suite, own }: SrtpAgreed, offered: string): void {
    const { crypto } = readAudio(offered, 'require');
    const same = crypto.some((line) => line.suite === suite && line.key.equals(own));
    for (const { key } of crypto) key.zero();
    if (!same) throw new NgIncomplete(this.#call.server.name, `the ${suite.name} key that it had offered`);
  }

  #lineOf(suite: Suite): CryptoLine {
    const line = this.#lines.find((each) => each.suite === suite);
    if (line === undefined)
      throw new SdpRefused('transport', `rtpengine ${this.#call.server.name} does not speak ${suite.name}`);
    return line;
  }
}

function insideAt(place: Place): Described {
  return { ...place, ...anything, direction: 'sendrecv' };
}

/** DTLS-SRTP is not ours to agree on. */
function towards(protocol: 'RTP/AVP' | 'RTP/SAVP') {
  return { 'transport-protocol': protocol, DTLS: 'off' };
}
