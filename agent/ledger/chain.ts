/** The chain itself, pure: how an entry is sealed to the one before, and how a chain is checked. */
import { hash, sign, verify, type KeyObject } from 'node:crypto';
import { canonicalJson } from './canonical.ts';
import type { LedgerEntry, LedgerEvent } from './ledger.ts';

/** What the next entry is chained to. */
export interface ChainHead {
  sequence: number;
  hash: string;
  at: string;
}

/** Before the first entry. */
export const genesis: ChainHead = { sequence: 0, hash: '0'.repeat(64), at: '' };

/** An entry, and its line in the ledger: its canonical JSON. */
export interface SealedEntry {
  entry: LedgerEntry;
  line: string;
}

/**
 * Makes the entry that follows `head`. Its time is never before the last one's, even if the clock was set back: order
 * in time is part of what is proved.
 *
 * @param key signs the entry and, through the chain, all before it; without it the entry says that a later one is signed
 */
export function sealEntry(head: ChainHead, event: LedgerEvent, now: string, key?: KeyObject): SealedEntry {
  const sequence = head.sequence + 1;
  const at = now < head.at ? head.at : now;
  const previous = head.hash;
  // The event is written once, for the hash and for the line: it is most of both.
  const [start, end] = [
    `{"at":"${at}","event":${canonicalJson(event)},`,
    `"previous":"${previous}","sequence":${sequence}`,
  ];
  if (key === undefined) {
    const named = hash('sha256', `${start}${end},"signed":"later"}`);
    return {
      entry: { sequence, at, previous, event, signed: 'later', hash: named },
      line: `${start}"hash":"${named}",${end},"signed":"later"}`,
    };
  }
  const digest = hash('sha256', `${start}${end}}`, 'buffer');
  const signature = sign(undefined, digest, key).toString('base64');
  const named = digest.toString('hex');
  return {
    entry: { sequence, at, previous, event, hash: named, signature },
    line: `${start}"hash":"${named}",${end},"signature":"${signature}"}`,
  };
}

/** Whether this line, of which the form is not checked, ends what one signature vouches for. */
export function endsSigned(line: string): boolean {
  return parseEntry(line)?.signed !== 'later';
}

/** A defect of the chain, at the line of the ledger (counted from 1 over all segments) where it shows. */
export interface ChainFault {
  line: number;
  sequence: number | undefined;
  reason: string;
}

/**
 * Checks lines one after another: form, order, hash, link to the one before, signature. The line must be exactly what
 * Tacet would have written: a changed byte shows even where it changes no value. An entry may leave the signature to a
 * later one (and says so in what is hashed, so that none can be taken out); `unsigned` tells whether one came.
 */
export class ChainCheck {
  readonly #publicKey: KeyObject | undefined;
  #head: ChainHead;
  #line = 0;
  #unsigned = 0;

  /**
   * @param publicKey undefined checks everything but signatures
   * @param head what the first line is expected to follow
   */
  constructor(publicKey: KeyObject | undefined, head: ChainHead = genesis) {
    this.#publicKey = publicKey;
    this.#head = head;
  }

  /** The last entry seen. */
  get head(): ChainHead {
    return this.#head;
  }

  /** How many of the last entries no signature vouches for yet. */
  get unsigned(): number {
    return this.#unsigned;
  }

  /** The entry on this line, and what is wrong with it; no entry when the line cannot be read as one. */
  next(line: string): { entry: LedgerEntry | undefined; faults: ChainFault[] } {
    this.#line += 1;
    const entry = parseEntry(line);
    if (entry === undefined) return { entry, faults: [this.#fault(undefined, 'is not an entry')] };
    const head = this.#head;
    const faults: ChainFault[] = [];
    const { sequence } = entry;
    const say = (reason: string): unknown => faults.push(this.#fault(sequence, reason));
    if (sequence !== head.sequence + 1)
      say(`follows entry ${head.sequence}: entries are missing, doubled or out of order`);
    if (entry.previous !== head.hash) say('is not chained to the entry before it');
    if (entry.at < head.at) say('is older than the entry before it');
    if (entry.hash !== hashOf(entry)) say('was changed: its hash is another');
    if (canonicalJson(entry) !== line) say('is not written as Tacet writes: the line was changed');
    const { signed, signature } = entry;
    if ((signed === 'later') === (signature !== undefined))
      say('was changed: its signature was taken out or put in');
    else if (
      signature !== undefined &&
      this.#publicKey !== undefined &&
      !isSigned(entry.hash, signature, this.#publicKey)
    )
      say('is not signed with the key of this ledger');
    this.#unsigned = signed === 'later' ? this.#unsigned + 1 : 0;
    this.#head = { sequence, hash: entry.hash, at: entry.at };
    return { entry, faults };
  }

  #fault(sequence: number | undefined, reason: string): ChainFault {
    return { line: this.#line, sequence, reason };
  }
}

function hashOf({ sequence, at, previous, event, signed }: LedgerEntry): string {
  return hash('sha256', canonicalJson({ sequence, at, previous, event, signed }));
}

function isSigned(named: string, signature: string, key: KeyObject): boolean {
  return (
    /^[0-9a-f]{64}$/u.test(named) &&
    verify(undefined, Buffer.from(named, 'hex'), key, Buffer.from(signature, 'base64')) &&
    // Base64 has spare bits at its end: only one writing of a signature is ours.
    Buffer.from(signature, 'base64').toString('base64') === signature
  );
}

function parseEntry(line: string): LedgerEntry | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  return isEntry(value) ? value : undefined;
}

function isEntry(value: unknown): value is LedgerEntry {
  if (typeof value !== 'object' || !value) return false;
  const {
    sequence,
    at,
    previous,
    event,
    hash: named,
    signed,
    signature,
  } = value as Partial<Record<keyof LedgerEntry, unknown>>;
  return (
    Number.isSafeInteger(sequence) &&
    [at, previous, named].every((each) => typeof each === 'string') &&
    (signed === undefined || signed === 'later') &&
    (signature === undefined || typeof signature === 'string') &&
    typeof event === 'object' &&
    Boolean(event) &&
    typeof (event as { kind?: unknown }).kind === 'string'
  );
}
