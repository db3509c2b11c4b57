/** The site's live state: what all changes so far, in their order, have made of the campaigns file. Pure but for `apply`. */
import { createHmac } from 'node:crypto';
import { assertNever } from '../../config/errors.ts';
import { normaliseNumber } from '../../config/number.ts';
import { unquestionedRate, type Campaign } from '../../config/schema.ts';
import type { AgentFacts, Change, LiveSettings, Raise, StopScope } from './changes.ts';

export type ProposalState = 'proposed' | 'approved' | 'refused' | 'expired' | 'ended';

export interface Proposal extends Raise {
  id: string;
  state: ProposalState;
  proposedBy: string;
  proposedAt: string;
  decidedBy: string | undefined;
  decidedAt: string | undefined;
}

export interface Stop {
  id: string;
  scope: StopScope;
  by: string;
  at: string;
  reason: string | undefined;
  /** RFC 3339; undefined until somebody resumes. */
  until: string | undefined;
}

interface Standing {
  settings: LiveSettings;
  /** The approved proposal that the campaign is raised by. */
  raisedBy: string | undefined;
  /** Version of the last change of this campaign. */
  version: number;
}

/** Every purpose, where an objection names none. */
export const everyPurpose = 'every';

export class SiteState {
  #version = 0;
  #salt = '';
  readonly #campaigns = new Map<string, Standing>();
  readonly #proposals = new Map<string, Proposal>();
  readonly #stops = new Map<string, Stop>();
  readonly #agents = new Map<string, AgentFacts>();
  readonly #objections = new Map<string, { purpose: string; at: string }>();

  static of(changes: readonly Change[]): SiteState {
    const state = new SiteState();
    for (const change of changes) state.apply(change);
    return state;
  }

  /** How many changes made it. */
  get version(): number {
    return this.#version;
  }

  get isSalted(): boolean {
    return this.#salt !== '';
  }

  /** Version of the last change that concerns a campaign; 0 while it is as its file says. */
  versionOf(campaign: string): number {
    return this.#campaigns.get(campaign)?.version ?? 0;
  }

  settingsOf(campaign: string): LiveSettings {
    return this.#campaigns.get(campaign)?.settings ?? {};
  }

  get proposals(): readonly Proposal[] {
    return [...this.#proposals.values()];
  }

  proposal(id: string): Proposal | undefined {
    return this.#proposals.get(id);
  }

  /** Stops that hold at an instant. */
  stops(now: Date): Stop[] {
    return [...this.#stops.values()].filter(({ until }) => until === undefined || now < new Date(until));
  }

  /** The first stop that keeps a campaign from drawing. */
  stopOf(campaign: string, site: string, now: Date): Stop | undefined {
    // Asked for every call: most sites have none.
    if (this.#stops.size === 0) return undefined;
    return this.stops(now).find(({ scope }) => {
      if (scope.of === 'everything') return true;
      return scope.of === 'site' ? scope.site === site : scope.campaign === campaign;
    });
  }

  get agents(): ReadonlyMap<string, AgentFacts> {
    return this.#agents;
  }

  get objectionCount(): number {
    return this.#objections.size;
  }

  /** What a person's objection is known by: nothing of the number can be read from it, and it is good for one purpose. */
  objectionHash(number: string, purpose: string): string {
    return createHmac('sha256', this.#salt)
      .update(`${normaliseNumber(number)} ${purpose}`)
      .digest('hex');
  }

  objects(number: string, purpose: string): boolean {
    if (this.#objections.size === 0) return false;
    return [purpose, everyPurpose].some((each) => this.#objections.has(this.objectionHash(number, each)));
  }

  hasObjection(hash: string): boolean {
    return this.#objections.has(hash);
  }

  /** The raise that holds for a campaign at an instant; it ends by the clock, with or without an entry that says so. */
  raiseOf(campaign: string, now: Date): Proposal | undefined {
    const id = this.#campaigns.get(campaign)?.raisedBy;
    const raised = id === undefined ? undefined : this.#proposals.get(id);
    return raised !== undefined && now < new Date(raised.until) ? raised : undefined;
  }

  /** Proposals whose end has come without an entry that says so. */
  overdue(now: Date): Proposal[] {
    return this.proposals.filter(
      ({ state, until }) => (state === 'proposed' || state === 'approved') && new Date(until) <= now,
    );
  }

  /** The rate of a campaign at an instant: a raise while it holds, else what was set, never above what needs approval. */
  rateOf(campaign: Campaign, now: Date): number {
    const raised = this.raiseOf(campaign.name, now);
    if (raised !== undefined) return raised.rate;
    return Math.min(this.settingsOf(campaign.name).rate ?? campaign.rate, freeCeiling(campaign));
  }

  apply(change: Change): void {
    this.#version += 1;
    const { deed, by, at } = change;
    switch (deed.kind) {
      case 'salted':
        if (this.#salt === '') this.#salt = deed.salt;
        return;
      case 'campaign.set':
      case 'campaign.reset':
        return this.#set(deed.campaign, deed.kind === 'campaign.set' ? deed.settings : undefined);
      case 'raise.proposed': {
        const open = { id: deed.proposal, state: 'proposed' as const, proposedBy: by, proposedAt: at };
        this.#proposals.set(deed.proposal, {
          ...deed.raise,
          ...open,
          decidedBy: undefined,
          decidedAt: undefined,
        });
        return;
      }
      case 'raise.approved':
      case 'raise.refused':
      case 'raise.expired':
        return this.#decide(deed.proposal, stateAfter[deed.kind], change);
      case 'stopped': {
        const { stop: id, scope, until } = deed;
        this.#stops.set(id, { id, scope, until, by, at, reason: change.reason });
        return;
      }
      case 'resumed':
        this.#stops.delete(deed.stop);
        return;
      case 'agent.set':
        this.#agents.set(deed.agent, { ...this.#agents.get(deed.agent), ...deed.facts });
        return;
      case 'agent.removed':
        this.#agents.delete(deed.agent);
        return;
      case 'objected':
        this.#objections.set(deed.hash, { purpose: deed.purpose, at });
        return;
      case 'objection.lifted':
        this.#objections.delete(deed.hash);
        return;
      default:
        return assertNever(deed);
    }
  }

  #set(campaign: string, settings: LiveSettings | undefined): void {
    const before = this.#campaigns.get(campaign);
    // A rate that is set ends the raise: what was approved is not taken up again later.
    const endsRaise = settings === undefined || settings.rate !== undefined;
    if (endsRaise) this.#end(before?.raisedBy);
    this.#campaigns.set(campaign, {
      settings: settings === undefined ? {} : { ...before?.settings, ...settings },
      raisedBy: endsRaise ? undefined : before?.raisedBy,
      version: this.#version,
    });
  }

  #decide(id: string, state: ProposalState, { by, at }: Change): void {
    const proposal = this.#proposals.get(id);
    const open = state === 'expired' ? ['proposed', 'approved'] : ['proposed'];
    if (proposal === undefined || !open.includes(proposal.state)) return;
    const { campaign } = proposal;
    const before = this.#campaigns.get(campaign);
    if (state === 'approved') {
      this.#end(before?.raisedBy);
      this.#campaigns.set(campaign, {
        settings: before?.settings ?? {},
        raisedBy: id,
        version: this.#version,
      });
    } else if (state === 'expired' && before?.raisedBy === id) {
      this.#campaigns.set(campaign, { ...before, raisedBy: undefined, version: this.#version });
    }
    const decided = state === 'expired' ? {} : { decidedBy: by, decidedAt: at };
    this.#proposals.set(id, { ...proposal, ...decided, state });
  }

  #end(id: string | undefined): void {
    const proposal = id === undefined ? undefined : this.#proposals.get(id);
    if (proposal?.state === 'approved') this.#proposals.set(proposal.id, { ...proposal, state: 'ended' });
  }
}

const stateAfter = {
  'raise.approved': 'approved',
  'raise.refused': 'refused',
  'raise.expired': 'expired',
} as const;

/** The greatest rate that one person alone may set: the file's own, and 30 % where the file says less. */
export function freeCeiling({ rate }: Pick<Campaign, 'rate'>): number {
  return Math.max(rate, unquestionedRate);
}
