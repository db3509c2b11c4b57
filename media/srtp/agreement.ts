/**
 * Which keys a side and its far end agreed on by SDP (RFC 4568 sections 5 and 7). A key that stays keeps its roll-over
 * counter; a far end with a new key may be another telephone, which counts from nought: it gets a new key of ours.
 */
import { randomBytes } from 'node:crypto';
import type { CryptoLine } from '../sdp/crypto.ts';
import { MasterKey } from './keys.ts';
import { offeredSuites, suites, type Suite } from './suites.ts';

/**
 * What a site wants of a peer: `off` never; `accept` where the peer offers it; `offer` also of our own accord, going on
 * without where the peer does not follow (RFC 8643); `require` or no media.
 */
export type SrtpPolicy = 'off' | 'accept' | 'offer' | 'require';

export interface SrtpAgreed {
  suite: Suite;
  /** Of the line that was chosen (section 4.1). */
  tag: number;
  own: MasterKey;
  theirs: MasterKey;
  /** In what the far end sends. */
  mkiBytes: number;
}

/** The keys of one side over the life of its session. All are zeroed when it ends. */
export class KeyChain implements Disposable {
  readonly #keys = new Set<MasterKey>();
  readonly #make: (suite: Suite) => MasterKey;
  #offered: CryptoLine[] = [];

  /** @param make a key of our own, never used before */
  constructor(make: (suite: Suite) => MasterKey = randomKey) {
    this.#make = make;
  }

  /** The answer to an offer: the first line that we can keep to. Undefined when there is none. */
  answer(lines: readonly CryptoLine[], before: SrtpAgreed | undefined): SrtpAgreed | undefined {
    for (const { key } of lines) this.#keys.add(key);
    const [line] = lines;
    if (line === undefined) return undefined;
    const { tag, suite, mkiBytes, key: theirs } = line;
    if (stays(before, line)) return { ...before, tag, mkiBytes };
    return { suite, tag, mkiBytes, theirs, own: this.#newKey(suite) };
  }

  /** The lines of our offer. An agreement that stands is offered again as it is, to `anyone` with another key. */
  offer(before: SrtpAgreed | undefined, to: 'same' | 'anyone' = 'same'): readonly CryptoLine[] {
    if (before !== undefined) {
      const key = to === 'same' ? before.own : this.#newKey(before.suite);
      this.#offered = [{ tag: 1, suite: before.suite, key, mkiBytes: 0 }];
    } else if (this.#offered.length === 0) {
      this.#offered = offeredSuites.map((name, at) => ({
        tag: at + 1,
        suite: suites[name],
        key: this.#newKey(suites[name]),
        mkiBytes: 0,
      }));
    }
    return this.#offered;
  }

  /** The next offer is to another peer: it gets keys that no other has seen. */
  renew(): void {
    this.#offered = [];
  }

  /** The far end's answer to our last offer. Undefined when it chose none of what we offered (section 5.1.3). */
  accept(lines: readonly CryptoLine[], before: SrtpAgreed | undefined): SrtpAgreed | undefined {
    for (const { key } of lines) this.#keys.add(key);
    const [line, ...more] = lines;
    const chosen = this.#offered.find(({ tag, suite }) => tag === line?.tag && suite === line.suite);
    if (line === undefined || chosen === undefined || more.length > 0) return undefined;
    const theirs = before?.theirs.equals(line.key) === true ? before.theirs : line.key;
    return { suite: line.suite, tag: line.tag, own: chosen.key, theirs, mkiBytes: line.mkiBytes };
  }

  [Symbol.dispose](): void {
    for (const key of this.#keys) key.zero();
    this.#keys.clear();
    this.#offered = [];
  }

  #newKey(suite: Suite): MasterKey {
    const key = this.#make(suite);
    this.#keys.add(key);
    return key;
  }
}

/** Whether a far end goes on with the key that it had, and so do we. */
export function stays(
  before: SrtpAgreed | undefined,
  { suite, key }: Pick<CryptoLine, 'suite' | 'key'>,
): before is SrtpAgreed {
  return before?.suite === suite && before.theirs.equals(key);
}

function randomKey({ keyBytes, saltBytes }: Suite): MasterKey {
  return MasterKey.take(randomBytes(keyBytes + saltBytes));
}
