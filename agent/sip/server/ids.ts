/** Names that nobody guesses: branches, tags, transaction ids. */
import { randomFillSync } from 'node:crypto';

/** One call of the random source for many names: it costs a microsecond however little it is asked for. */
const pool = Buffer.allocUnsafeSlow(4_096);
let used = pool.length;

/** Fresh random bytes, two hexadecimal digits each. */
function random(bytes: number): string {
  if (used + bytes > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += bytes;
  return pool.toString('hex', used - bytes, used);
}

/** A branch of ours: the magic cookie (RFC 3261 section 8.1.1.7) and 128 bits of randomness. */
export function newBranch(): string {
  return `z9hG4bK${random(16)}`;
}

/** 64 bits; RFC 3261 section 19.3 asks for 32. */
export function newTag(): string {
  return random(8);
}

/** Of a transaction, as the application names it, or of a call. */
export function newId(): string {
  return random(16);
}
