/** Session-ID (RFC 7989): one identifier of a session that both legs and everybody's logs share. */
import { randomUUID } from 'node:crypto';

/** The UUID of an end that is not known yet (RFC 7989 section 4.2). */
export const nilUuid = '0'.repeat(32);

/** Which far end of ours: `near` is who called us, `far` whom we call. */
export type End = 'near' | 'far';

/**
 * The UUIDs of a Session-ID value as an endpoint wrote it; the form of before RFC 7989 (RFC 7329) has no remote one.
 * Undefined for what is neither.
 */
export function parseSessionId(value: string): { local: string; remote: string } | undefined {
  const match = /^ *([0-9a-f]{32}) *(?:; *remote=([0-9a-f]{32}))?/u.exec(value.slice(0, 200).toLowerCase());
  return match?.[1] === undefined ? undefined : { local: match[1], remote: match[2] ?? nilUuid };
}

/**
 * Both ends' UUIDs of one call. Each end's is learned from what it sends and handed to the other; for an end that has
 * none we make one up and keep it (RFC 7989 section 7).
 */
export class SessionIds {
  readonly #learned: Partial<Record<End, string>> = {};
  readonly #ours: Record<End, string> = { near: newUuid(), far: newUuid() };

  /** Takes what an end says in a message; each later one may say otherwise, after a transfer. */
  heard(end: End, value: string | undefined): void {
    const { local } = (value === undefined ? undefined : parseSessionId(value)) ?? { local: nilUuid };
    if (local !== nilUuid) this.#learned[end] = local;
  }

  /** Forgets the far end: another peer is tried. */
  forgetFar(): void {
    delete this.#learned.far;
  }

  /**
   * The value towards an end: the other one's UUID as local, its own as remote.
   *
   * @param answered false in a first INVITE: nobody can know the far end yet
   */
  towards(end: End, answered = true): string {
    const other = end === 'near' ? 'far' : 'near';
    const own = this.#learned[end] ?? (end === 'near' || answered ? this.#ours[end] : nilUuid);
    return `${this.#learned[other] ?? this.#ours[other]};remote=${own}`;
  }
}

function newUuid(): string {
  return randomUUID().replaceAll('-', '');
}
