/**
 * The root of Tacet's own errors: each says what happened, to what, and what to do, for a person to read.
 * The facts stand in fields of the subclasses. An expected turn of events (busy, refused) is a value, not an error.
 */
export class TacetError extends Error {
  override get name(): string {
    return this.constructor.name;
  }
}

/** Closes a `switch` over a closed union: the compiler refuses a missing case, and a value from outside is named. */
export function assertNever(value: never): never {
  throw new TacetError(`value outside its closed set: ${JSON.stringify(value)}`);
}

/** What went wrong, as one line, whatever was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
