/** The branches of a fork, as the one who called sees them: each early dialog has a To tag of its own (RFC 3261 section 12.1.1). */
import { randomBytes } from 'node:crypto';

export class Branches {
  readonly #to: string;
  /** By the far end's tag. The first branch has the tag that the SIP server gives by itself. */
  readonly #tags = new Map<string, string | undefined>();

  /** @param to the caller's To header, without a tag */
  constructor(to: string) {
    this.#to = to;
  }

  /** What makes a response one of this branch; nothing for the first, and where it is the same to the caller who speaks. */
  headers(branch: string | undefined): Record<string, string> {
    if (branch === undefined) return {};
    if (!this.#tags.has(branch)) {
      this.#tags.set(branch, this.#tags.size === 0 ? undefined : randomBytes(8).toString('hex'));
    }
    const tag = this.#tags.get(branch);
    // Not spelt `To`: drachtio-srf takes a tag from that once, and keeps it.
    return tag === undefined ? {} : { TO: `${this.#to};tag=${tag}` };
  }
}
