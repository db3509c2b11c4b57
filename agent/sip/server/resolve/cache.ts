/** Answers of the DNS, kept as long as they say, and longer while the DNS is silent. */
import type { Clock } from '../clock.ts';
import type { Answer, Dns, Records } from './dns.ts';

interface Entry {
  answer: Answer | undefined;
  freshUntil: number;
  asking: Promise<Answer> | undefined;
}

/** How long an answer may stand in for a DNS that does not answer: calls to a carrier go on through a long outage. */
const staleMs = 86_400_000;
/** A call waits no longer than this for a DNS whose last answer is known. */
const patienceMs = 1_000;
const maxEntries = 1_000;

export class DnsCache implements Dns {
  readonly #dns: Dns;
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();
  /** Answers past their time that were used. */
  stale = 0;

  constructor(dns: Dns, clock: Clock) {
    this.#dns = dns;
    this.#clock = clock;
  }

  async query<Type extends keyof Records>(type: Type, name: string): Promise<Answer<Type>> {
    const key = `${type} ${name.toLowerCase()}`;
    const entry = this.#entries.get(key) ?? { answer: undefined, freshUntil: 0, asking: undefined };
    this.#entries.set(key, entry);
    const now = this.#clock.now();
    if (entry.answer && now < entry.freshUntil) return entry.answer as Answer<Type>;
    const last = entry.answer && now < entry.freshUntil + staleMs ? entry.answer : undefined;
    entry.asking ??= this.#ask(type, name, key, entry);
    try {
      return (await (last ? this.#orLast(entry.asking, last) : entry.asking)) as Answer<Type>;
    } catch (error) {
      if (!last) throw error;
      this.stale += 1;
      return last as Answer<Type>;
    }
  }

  async #ask(type: keyof Records, name: string, key: string, entry: Entry): Promise<Answer> {
    try {
      const answer = await this.#dns.query(type, name);
      entry.answer = answer;
      entry.freshUntil = this.#clock.now() + answer.ttlMs;
      // Written anew, so that the first of the map is the one not asked for longest.
      this.#entries.delete(key);
      this.#entries.set(key, entry);
      const oldest = this.#entries.keys().next();
      if (this.#entries.size > maxEntries && oldest.done !== true) this.#entries.delete(oldest.value);
      return answer;
    } catch (error) {
      if (!entry.answer) this.#entries.delete(key);
      throw error;
    } finally {
      entry.asking = undefined;
    }
  }

  #orLast(asking: Promise<Answer>, last: Answer): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const alarm = this.#clock.after(patienceMs, () => {
        this.stale += 1;
        resolve(last);
      });
      asking.then(resolve, reject).finally(() => alarm.cancel());
    });
  }
}
