/**
 * Campaigns as they are now: their file, and what was changed since. Calls ask it from memory; people's orders go through
 * it to the log of changes, and from there, in the log's order, into the ledger of every agent that learns them.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { TacetError } from '../../config/errors.ts';
import { normaliseNumber } from '../../config/number.ts';
import type { Campaign } from '../../config/schema.ts';
import type { LawBook } from '../law/load.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { ChangeJournal } from './change-journal.ts';
import { ChangesUnavailable } from './change-log.ts';
import type { AgentFacts, Change, Deed, LiveSettings, Raise, StopScope } from './changes.ts';
import {
  campaignOf,
  ChangedMeanwhile,
  decisionOrder,
  OrderForbidden,
  raisedCampaign,
  raiseOrder,
  settingsOrder,
  type Grounds,
} from './orders.ts';
import type { RedisChanges } from './redis-changes.ts';
import { SiteState, everyPurpose, type Stop } from './state.ts';
import { tellChange } from './telling.ts';

export interface LiveOptions {
  campaigns: readonly Campaign[];
  log: ChangeJournal | RedisChanges;
  law: LawBook;
  ledger: Ledger;
  /** `config.site`: what a stop of one site names. */
  site: string;
  clock: () => Date;
  onTrouble?: (error: unknown) => void;
}

/** Who orders it, and why. */
export interface Author {
  by: string;
  reason?: string | undefined;
}

/** How often the ends of raises and stops are looked at. Calls do not wait for it: the rate ends by the clock itself. */
const lookEveryMs = 1_000;

export class LiveCampaigns implements AsyncDisposable {
  readonly #options: LiveOptions;
  readonly #files: ReadonlyMap<string, Campaign>;
  readonly #timer: NodeJS.Timeout;
  #state: SiteState;
  /** A campaign as it was last asked for: the same object while nothing of it changes, so that its law stays known. */
  readonly #current = new Map<string, Campaign>();
  #orders: Promise<unknown> = Promise.resolve();
  #telling: Promise<void> | undefined;

  constructor(options: LiveOptions) {
    this.#options = options;
    this.#files = new Map(options.campaigns.map((campaign) => [campaign.name, campaign]));
    this.#state = SiteState.of(options.log.changes);
    options.log.listen({
      added: (changes) => {
        for (const change of changes) this.#state.apply(change);
        void this.tell();
      },
      replaced: (changes) => {
        this.#state = SiteState.of(changes);
        void this.tell();
      },
    });
    this.#timer = setInterval(() => void this.look(), lookEveryMs).unref();
    void this.tell();
  }

  get state(): SiteState {
    return this.#state;
  }

  get files(): readonly Campaign[] {
    return this.#options.campaigns;
  }

  get history(): readonly Change[] {
    return this.#options.log.changes;
  }

  /** False while other agents may have changed something that is not known here: nothing is drawn then. */
  get isCurrent(): boolean {
    return this.#options.log.isCurrent;
  }

  /** A campaign of the file as it is now. */
  now(file: Campaign): Campaign {
    const at = this.#options.clock();
    const settings = this.#state.settingsOf(file.name);
    const raised = this.#state.raiseOf(file.name, at);
    const wanted: Campaign = {
      ...(raised === undefined ? file : raisedCampaign(file, raised)),
      rate: this.#state.rateOf(file, at),
      announcedCap: settings.announcedCap ?? file.announcedCap,
      dailyGuard: settings.dailyGuard ?? file.dailyGuard,
    };
    const known = this.#current.get(file.name);
    if (known !== undefined && isSame(known, wanted)) return known;
    this.#current.set(file.name, wanted);
    return wanted;
  }

  stopOf(campaign: string): Stop | undefined {
    return this.#state.stopOf(campaign, this.#options.site, this.#options.clock());
  }

  /** Sets what one person alone may set. @throws OrderForbidden, ChangedMeanwhile, ChangesUnavailable */
  async set(author: Author, campaign: string, settings: LiveSettings, expected?: number): Promise<void> {
    await this.#order(author, (grounds) => {
      this.#expect(campaign, expected);
      return [settingsOrder(grounds, campaign, settings)];
    });
  }

  /** Back to what the campaigns file says. @throws OrderForbidden, ChangedMeanwhile, ChangesUnavailable */
  async reset(author: Author, campaign: string, expected?: number): Promise<void> {
    await this.#order(author, (grounds) => {
      this.#expect(campaign, expected);
      campaignOf(grounds, campaign);
      return [{ kind: 'campaign.reset', campaign }];
    });
  }

  /** @returns the proposal's id. @throws OrderForbidden, ChangesUnavailable */
  async propose(author: Author, raise: Raise): Promise<string> {
    const id = randomUUID();
    await this.#order(author, (grounds) => [raiseOrder(grounds, id, raise)]);
    return id;
  }

  /** @throws OrderForbidden, ChangesUnavailable */
  async decide(author: Author, proposal: string, approved: boolean): Promise<void> {
    const decision = approved ? 'raise.approved' : 'raise.refused';
    await this.#order(author, (grounds) => [decisionOrder(grounds, proposal, decision)]);
  }

  /** Nothing is drawn from the next call on, until an instant or until somebody resumes. @returns the stop's id */
  async stop(author: Author, scope: StopScope, until?: Date): Promise<string> {
    const stop = randomUUID();
    await this.#order(author, (grounds) => {
      if (scope.of === 'campaign') campaignOf(grounds, scope.campaign);
      return [
        { kind: 'stopped', stop, scope, ...(until === undefined ? {} : { until: until.toISOString() }) },
      ];
    });
    return stop;
  }

  /** @throws OrderForbidden, ChangesUnavailable */
  async resume(author: Author, stop: string): Promise<void> {
    await this.#order(author, ({ state, now }) => {
      if (!state.stops(now).some(({ id }) => id === stop))
        throw new OrderForbidden('unknown-stop', `there is no stop ${stop} that holds`);
      return [{ kind: 'resumed', stop }];
    });
  }

  /** @throws ChangesUnavailable */
  async setAgent(author: Author, agent: string, facts: AgentFacts): Promise<void> {
    await this.#order(author, () => [{ kind: 'agent.set', agent: normaliseNumber(agent), facts }]);
  }

  /** @throws OrderForbidden, ChangesUnavailable */
  async removeAgent(author: Author, id: string): Promise<void> {
    const agent = normaliseNumber(id);
    await this.#order(author, ({ state }) => {
      if (!state.agents.has(agent))
        throw new OrderForbidden('unknown-agent', `there is no agent "${agent}" on the list`);
      return [{ kind: 'agent.removed', agent }];
    });
  }

  /** A person is never drawn again for a purpose; nothing is kept of the number but a salted hash. @returns the hash */
  async object(author: Author, number: string, purpose: string = everyPurpose): Promise<string> {
    if (!this.#state.isSalted) {
      const salt = randomBytes(32).toString('base64');
      // The first one holds, whoever wrote it.
      await this.#order(author, ({ state }) => (state.isSalted ? [] : [{ kind: 'salted', salt }]));
    }
    await this.#order(author, ({ state }) => {
      const hash = state.objectionHash(number, purpose);
      return state.hasObjection(hash) ? [] : [{ kind: 'objected', hash, purpose }];
    });
    return this.#state.objectionHash(number, purpose);
  }

  /** @throws OrderForbidden, ChangesUnavailable */
  async liftObjection(author: Author, number: string, purpose: string = everyPurpose): Promise<void> {
    await this.#order(author, ({ state }) => {
      const hash = state.objectionHash(number, purpose);
      if (!state.hasObjection(hash))
        throw new OrderForbidden(
          'unknown-objection',
          'there is no objection of this number for this purpose',
        );
      return [{ kind: 'objection.lifted', hash }];
    });
  }

  /** Writes down what has ended by the clock; one agent's entry is every agent's. */
  async look(): Promise<void> {
    if (this.#state.overdue(this.#options.clock()).length === 0) return;
    try {
      await this.#order({ by: 'tacet', reason: 'its end date has come' }, ({ state, now }) =>
        state.overdue(now).map(({ id }) => ({ kind: 'raise.expired', proposal: id })),
      );
    } catch (error) {
      // The rate has fallen back all the same; the entry is tried again at the next look.
      if (!(error instanceof TacetError)) throw error;
      this.#options.onTrouble?.(error);
    }
  }

  /** Writes into the ledger what it does not have yet. */
  async tell(): Promise<void> {
    this.#telling ??= this.#tellAll()
      .catch((error: unknown) => this.#options.onTrouble?.(error))
      .finally(() => {
        this.#telling = undefined;
      });
    await this.#telling;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#orders.catch(() => undefined);
    await this.#telling;
    await this.#options.log[Symbol.asyncDispose]();
  }

  /** One order after the other here; against other agents, by the log's own order: decided again when one came between. */
  #order(author: Author, decide: (grounds: Grounds) => Deed[]): Promise<void> {
    const carried = this.#orders.then(() => this.#carryOut(author, decide));
    this.#orders = carried.catch(() => undefined);
    return carried;
  }

  async #carryOut({ by, reason }: Author, decide: (grounds: Grounds) => Deed[]): Promise<void> {
    const { log, law, clock } = this.#options;
    await log.catchUp();
    for (let attempt = 0; attempt < 20; attempt += 1) {
      const now = clock();
      const deeds = decide({ state: this.#state, campaigns: this.#files, law, now, by });
      let added = true;
      for (const deed of deeds) {
        const stamp = { id: randomUUID(), at: now.toISOString(), by };
        const change = { ...stamp, ...(reason === undefined ? {} : { reason }), deed };
        added = await log.append(change);
        if (!added) break;
      }
      if (added) {
        await this.tell();
        return;
      }
    }
    throw new ChangesUnavailable('other agents change something all the time');
  }

  #expect(campaign: string, expected: number | undefined): void {
    const version = this.#state.versionOf(campaign);
    if (expected !== undefined && expected !== version)
      throw new ChangedMeanwhile(`campaign ${campaign}`, expected, version);
  }

  async #tellAll(): Promise<void> {
    const { log, ledger } = this.#options;
    while (log.told < log.changes.length) {
      const count = log.told;
      await ledger.append(tellChange(log.changes, count));
      await log.markTold(count + 1);
    }
  }
}

function isSame(one: Campaign, other: Campaign): boolean {
  return (Object.keys({ ...one, ...other }) as (keyof Campaign)[]).every((key) => one[key] === other[key]);
}
