/**
 * Calls of ours that come back: a PBX that forwards to the carrier through us, a carrier that routes a number back. Each
 * INVITE that we send carries a signed token; one that comes in with it is the same conversation once more.
 */
import { createHmac, createSecretKey, randomBytes, timingSafeEqual, type KeyObject } from 'node:crypto';
import type { CallId } from '../../config/units.ts';

export const passHeader = 'X-Tacet-Pass';

/** What a valid token says. */
export interface Pass {
  /** The call as it came in first. */
  of: CallId;
  /** How many times it went out through this site before. */
  passes: number;
}

export class PassTokens {
  readonly #key: KeyObject;
  readonly #lifetimeMs: number;
  readonly #now: () => number;

  /**
   * @param secret shared by the agents of a site; left out, only this process knows its calls again
   * @param lifetimeMs how long a call can last at most: an older token is another call's, copied
   * @param now milliseconds since the Unix epoch
   */
  constructor(secret: string | undefined, lifetimeMs: number, now: () => number = () => Date.now()) {
    this.#key = createSecretKey(secret === undefined ? randomBytes(32) : Buffer.from(secret));
    this.#lifetimeMs = lifetimeMs;
    this.#now = now;
  }

  issue({ of, passes }: Pass): string {
    const said = `${of};${passes};${this.#now().toString(36)}`;
    return `${said};${this.#sign(said)}`;
  }

  /** Undefined for a token that is not ours, was changed, or is too old. */
  read(token: string | undefined): Pass | undefined {
    const match = /^([0-9a-f-]{36});(\d{1,3});([0-9a-z]{1,10});([A-Za-z0-9_-]{22})$/u.exec(
      token?.slice(0, 128) ?? '',
    );
    if (match === null) return undefined;
    const [, of, passes, issued, signature] = match;
    const said = Buffer.from(this.#sign(`${of!};${passes!};${issued!}`));
    if (!timingSafeEqual(said, Buffer.from(signature!))) return undefined;
    const ageMs = this.#now() - Number.parseInt(issued!, 36);
    return ageMs > this.#lifetimeMs ? undefined : { of: of as CallId, passes: Number(passes) };
  }

  #sign(said: string): string {
    return createHmac('sha256', this.#key)
      .update(`tacet-pass;${said}`)
      .digest()
      .subarray(0, 16)
      .toString('base64url');
  }
}
