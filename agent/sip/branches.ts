/** The branches of a fork, as the one who called sees them: each early dialog has a To tag of its own (RFC 3261 section 12.1.1). */
import { randomBytes } from 'node:crypto';

export class Branches {
  readonly #to: string;
  /** Ours, by the far end's tag. The first branch has the one that the SIP server gives by itself, known once it was sent. */
  readonly #tags = new Map<string, string | undefined>();
  #first: string | undefined;

  /** @param to the caller's To header, without a tag */
  constructor(to: string) {
    this.#to = to;
  }

  /** What makes a response one of this branch; nothing for the first, and where it is the same to the caller who speaks. */
  headers(branch: string | undefined): Record<string, string> {
    if (branch === undefined) return {};
    this.#first ??= branch;
    if (!this.#tags.has(branch)) {
      this.#tags.set(branch, branch === this.#first ? undefined : randomBytes(8).toString('hex'));
    }
    const tag = branch === this.#first ? undefined : this.#tags.get(branch);
    // Not spelt `To`: drachtio-srf takes a tag from that once, and keeps it.
    return tag === undefined ? {} : { TO: `${this.#to};tag=${tag}` };
  }

  /** A response of this branch went out with this tag. */
  sent(branch: string | undefined, tag: string | undefined): void {
    if (branch !== undefined && branch === this.#first) this.#tags.set(branch, tag);
  }

  /** Our tag in the dialog that the caller has with a branch; undefined where there is none. */
  ours(branch: string | undefined): string | undefined {
    return branch === undefined ? undefined : this.#tags.get(branch);
  }

  /** The branch in whose dialog the caller speaks, by our tag in it. */
  theirs(tag: string | undefined): string | undefined {
    for (const [branch, ours] of this.#tags) if (ours === tag) return branch;
    return undefined;
  }
}
