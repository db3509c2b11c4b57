/**
 * Changes shared by all agents: a list in Redis whose length is the version. A change is added only behind all that its
 * author knew (one script), and announced on a channel; who missed the message finds it within `pollMs`, because every agent
 * reads the end of the list that often. An agent that has not been able to for `staleMs` says so, and draws nothing.
 *
 * Each agent keeps what it knows on its own disk. When Redis has lost changes (a failover, an empty server), those who
 * remember them add them again. When others went on without them, Redis is right and only what restricts is added again.
 */
import { setTimeout as after } from 'node:timers/promises';
import { messageOf } from '../../config/errors.ts';
import { connect, type Connection, type RedisPlace } from '../sampling/redis-connection.ts';
import { ChangeJournal } from './change-journal.ts';
import { ChangesUnavailable, type ChangeListener, type ChangeLog } from './change-log.ts';
import { changeSchema, onlyRestricts, type Change } from './changes.ts';

export interface RedisChangesOptions extends RedisPlace {
  /** For what this agent knows. */
  directory: string;
  pollMs?: number;
  staleMs?: number;
  hungMs?: number;
  /** Told of each trouble once, and of its end. */
  onTrouble?: (why: string | undefined) => void;
}

const listKey = 'tacet:{changes}:list';
const channel = 'tacet:{changes}:added';

const appendScript = `
if redis.call('LLEN', KEYS[1]) ~= tonumber(ARGV[1]) then return 0 end
redis.call('RPUSH', KEYS[1], ARGV[2])
redis.call('PUBLISH', KEYS[2], ARGV[1])
return 1`;

/** Connects in the background; until then it is not current. @throws ChangeJournalCorrupt, AlreadyRunning */
export async function openRedisChanges(options: RedisChangesOptions): Promise<RedisChanges> {
  return new RedisChanges(options, await ChangeJournal.open(options.directory));
}

export class RedisChanges implements ChangeLog {
  readonly #journal: ChangeJournal;
  readonly #redis: Connection;
  readonly #subscriber: Connection;
  readonly #closing = new AbortController();
  readonly #staleMs: number;
  readonly #onTrouble: RedisChangesOptions['onTrouble'];
  #trouble: string | undefined;
  #currentAt = -Infinity;
  #reading: Promise<void> | undefined;
  readonly #polling: Promise<void>;

  constructor(options: RedisChangesOptions, journal: ChangeJournal) {
    const { hungMs = 2_000, pollMs = 200, staleMs = 1_000 } = options;
    this.#journal = journal;
    this.#staleMs = staleMs;
    this.#onTrouble = options.onTrouble;
    this.#redis = connect(options, { hungMs, fenceMs: 0 });
    this.#subscriber = connect(options, { hungMs, fenceMs: 0 });
    for (const each of [this.#redis, this.#subscriber]) {
      each.on('error', (error: Error) => this.#tell(messageOf(error)));
    }
    this.#subscriber.on('ready', () => void this.#subscribe());
    this.#subscriber.on('message', () => void this.#read().catch(() => undefined));
    this.#redis.on('ready', () => void this.#read().catch(() => undefined));
    this.#polling = this.#poll(pollMs);
  }

  get changes(): readonly Change[] {
    return this.#journal.changes;
  }

  get told(): number {
    return this.#journal.told;
  }

  get isCurrent(): boolean {
    return performance.now() - this.#currentAt < this.#staleMs;
  }

  listen(listener: ChangeListener): void {
    this.#journal.listen(listener);
  }

  markTold(count: number): Promise<void> {
    return this.#journal.markTold(count);
  }

  /** A read that began after this was called: one that is under way may have been answered before the change. */
  async catchUp(): Promise<void> {
    await this.#reading?.catch(() => undefined);
    await this.#read();
  }

  async append(change: Change): Promise<boolean> {
    const known = this.changes.length;
    let added: boolean;
    try {
      added = await this.#push(known, change);
    } catch (error) {
      throw new ChangesUnavailable(messageOf(error));
    }
    await this.catchUp();
    return added;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#redis.disconnect();
    this.#subscriber.disconnect();
    await this.#polling;
    await this.#reading?.catch(() => undefined);
    await this.#journal[Symbol.asyncDispose]();
  }

  async #push(behind: number, change: Change): Promise<boolean> {
    const answer = await this.#redis.eval(appendScript, 2, listKey, channel, behind, JSON.stringify(change));
    return answer === 1;
  }

  async #subscribe(): Promise<void> {
    try {
      await this.#subscriber.subscribe(channel);
    } catch (error) {
      // The poll finds what is not told; the next connection subscribes again.
      this.#tell(messageOf(error));
    }
  }

  async #poll(pollMs: number): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      if (this.#redis.status === 'ready') await this.#read().catch(() => undefined);
      await after(pollMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** @throws ChangesUnavailable */
  async #read(): Promise<void> {
    this.#reading ??= this.#readNow()
      .catch((error: unknown) => {
        this.#tell(messageOf(error));
        throw new ChangesUnavailable(messageOf(error));
      })
      .finally(() => {
        this.#reading = undefined;
      });
    await this.#reading;
  }

  async #readNow(): Promise<void> {
    const asked = performance.now();
    const known = this.changes;
    // From the last known one on: that it stands where it stood shows that nothing before it was lost.
    const found = await this.#range(Math.max(0, known.length - 1));
    const last = known.at(-1);
    if (last === undefined) await this.#learn(found);
    else if (found[0]?.id === last.id) await this.#learn(found.slice(1));
    else await this.#reconcile();
    this.#currentAt = asked;
    this.#tell(undefined);
  }

  async #learn(changes: readonly Change[]): Promise<void> {
    if (changes.length > 0) await this.#journal.add(changes);
  }

  async #reconcile(): Promise<void> {
    const theirs = await this.#range(0);
    const ours = [...this.changes];
    const common = ours.findIndex(({ id }, index) => theirs[index]?.id !== id);
    const same = common < 0 ? ours.length : common;
    const lost = ours.slice(same);
    let count = theirs.length;
    const again = count === same ? lost : lost.filter(onlyRestricts);
    const theirIds = new Set(theirs.map(({ id }) => id));
    const restored: Change[] = [];
    for (const change of again) {
      if (theirIds.has(change.id)) continue;
      // Another agent is faster: what it added is seen at the next reading, and this one goes on from there.
      if (!(await this.#push(count, change))) throw new ChangesUnavailable('another agent is restoring them');
      count += 1;
      restored.push(change);
    }
    const whole = [...theirs, ...restored];
    const unchanged = whole.length >= ours.length && ours.every(({ id }, index) => whole[index]?.id === id);
    if (unchanged) await this.#learn(whole.slice(ours.length));
    else await this.#journal.replace(whole, Math.min(same, this.told));
  }

  async #range(from: number): Promise<Change[]> {
    const found = await this.#redis.lrange(listKey, from, -1);
    return found.map((text) => changeSchema.parse(JSON.parse(text)));
  }

  #tell(why: string | undefined): void {
    if (why === this.#trouble || this.#closing.signal.aborted) return;
    this.#trouble = why;
    this.#onTrouble?.(why);
  }
}
