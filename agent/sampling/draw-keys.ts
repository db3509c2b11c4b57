/**
 * The daily keys of the draw (I3; law.md I-08). A key is made and committed to the ledger by its hash the day before it is
 * used, and revealed in the ledger when its day (UTC) is over, so that whoever holds the ledger recomputes every draw.
 *
 * Each agent has keys of its own, in its own folder (0700, files 0600), committed in its own ledger: a key never leaves the
 * machine while it counts, neither Redis nor whoever can read campaigns holds it, and agents need no agreement, because the
 * counts that they share enter the decision beside the number.
 *
 * A key is used only when its commitment is on stable storage. At an agent's first start, or after it was away for more than a
 * day, today's key is committed on the day itself, before its first draw; the audit says so.
 */
import { createHash, createHmac, createSecretKey, randomBytes } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../config/errors.ts';
import type { CallId } from '../../config/units.ts';
import { syncDirectory } from '../ledger/append-file.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { dayOf } from './gate.ts';
import type { UniformSource } from './sampler.ts';

export interface DrawKeys extends Disposable {
  readonly uniform: UniformSource;
  /** Reveals what is over, makes and commits what is to come. Also done by itself at midnight and at every start. */
  turn(): Promise<void>;
}

export interface DrawKeysOptions {
  /** A folder of its own. */
  directory: string;
  ledger: Ledger;
  clock?: () => Date;
  /** Told when the keys could not be turned: tried again within the minute, and nothing is drawn without a key. */
  onTrouble?: (why: string) => void;
}

interface DrawKey {
  /** First half of the commitment: names the key in draws. */
  id: string;
  numberOf: (call: string) => number;
}

const dayMs = 86_400_000;
const retryMs = 60_000;
/** A timer that runs on past a clock that was set, or a machine that slept, is late by no more. */
const longestWaitMs = 600_000;
const committedFile = /^(?<day>\d{4}-\d{2}-\d{2})-(?<id>[0-9a-f]{32})\.key$/u;

/** Hex SHA-256 of the key: what the ledger says of it before its day. */
export function commitmentOf(secret: Buffer): string {
  return createHash('sha256').update(secret).digest('hex');
}

export function keyIdOf(commitment: string): string {
  return commitment.slice(0, 32);
}

/** A whole number below 2^32, uniform to everybody who lacks the key: the first word of HMAC-SHA256(key, call). */
export function uniformOf(secret: Buffer, call: string): number {
  return createHmac('sha256', secret).update(call).digest().readUInt32BE(0);
}

/**
 * `uniformOf` for one key and many calls: a key that is made once takes 4 us a call where one made for each call takes 26, which is
 * as long as Redis needs for the whole draw.
 */
export function uniformFor(secret: Buffer): (call: string) => number {
  const key = createSecretKey(secret);
  return (call) => createHmac('sha256', key).update(call).digest().readUInt32BE(0);
}

/** @throws LedgerUnavailable, or when the folder cannot be written */
export async function openDrawKeys(options: DrawKeysOptions): Promise<DrawKeys> {
  await mkdir(options.directory, { recursive: true, mode: 0o700 });
  const keys = new DailyKeys(options);
  await keys.turn();
  keys.schedule();
  return keys;
}

class DailyKeys implements DrawKeys {
  readonly #options: DrawKeysOptions;
  readonly #clock: () => Date;
  readonly #keys = new Map<string, DrawKey>();
  #turning: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: DrawKeysOptions) {
    this.#options = options;
    this.#clock = options.clock ?? (() => new Date());
  }

  readonly uniform = (call: CallId, day: string): { key: string; uniform: number } | undefined => {
    const key = this.#keys.get(day);
    return key === undefined ? undefined : { key: key.id, uniform: key.numberOf(call) };
  };

  turn(): Promise<void> {
    const turned = this.#turning.then(() => this.#turn());
    this.#turning = turned.catch(() => undefined);
    return turned;
  }

  schedule(wait?: number): void {
    if (this.#closed) return;
    const untilMidnight = dayMs - (this.#clock().getTime() % dayMs);
    const next = async (): Promise<void> => {
      try {
        await this.turn();
        this.schedule();
      } catch (error) {
        this.#options.onTrouble?.(messageOf(error));
        this.schedule(retryMs);
      }
    };
    this.#timer = setTimeout(() => void next(), wait ?? Math.min(untilMidnight, longestWaitMs)).unref();
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#keys.clear();
  }

  async #turn(): Promise<void> {
    const now = this.#clock();
    const today = dayOf(now);
    for (const day of this.#keys.keys()) if (day < today) this.#keys.delete(day);
    for (const name of await readdir(this.#options.directory)) {
      const { day, id } = committedFile.exec(name)?.groups ?? {};
      if (day === undefined || id === undefined) continue;
      const secret = await this.#read(name);
      if (day < today) await this.#reveal(day, id, secret, name);
      else this.#keys.set(day, { id, numberOf: uniformFor(secret) });
    }
    for (const day of [today, dayOf(new Date(now.getTime() + dayMs))]) {
      if (!this.#keys.has(day)) this.#keys.set(day, await this.#make(day));
    }
  }

  async #make(day: string): Promise<DrawKey> {
    const { directory, ledger } = this.#options;
    const secret = randomBytes(32);
    const commitment = commitmentOf(secret);
    const id = keyIdOf(commitment);
    const draft = join(directory, `${day}.new`);
    const file = await open(draft, 'w', 0o600);
    try {
      await file.writeFile(secret.toString('hex'));
      await file.sync();
    } finally {
      await file.close();
    }
    // Its name comes after the commitment: a key that was never committed is never read again.
    await ledger.append({ kind: 'sampling.key-committed', day, key: id, commitment });
    await rename(draft, join(directory, `${day}-${id}.key`));
    await syncDirectory(directory);
    return { id, numberOf: uniformFor(secret) };
  }

  async #reveal(day: string, id: string, secret: Buffer, name: string): Promise<void> {
    const { directory, ledger } = this.#options;
    await ledger.append({ kind: 'sampling.key-revealed', day, key: id, secret: secret.toString('hex') });
    await rm(join(directory, name), { force: true });
    await syncDirectory(directory);
  }

  async #read(name: string): Promise<Buffer> {
    return Buffer.from(await readFile(join(this.#options.directory, name), 'utf8'), 'hex');
  }
}
