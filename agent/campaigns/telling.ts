/** A change as the ledger keeps it: who, what, old and new, when, on whose approval. */
import type { LedgerEvent } from '../ledger/ledger.ts';
import { assertNever } from '../../config/errors.ts';
import type { Change } from './changes.ts';
import { SiteState } from './state.ts';

type Changed = Extract<LedgerEvent, { kind: 'campaigns.changed' }>;
type Facts = NonNullable<Changed['to']>;

/**
 * The entry of one change.
 *
 * @param changes of the whole log
 * @param index of the change; its version is one more
 */
export function tellChange(changes: readonly Change[], index: number): Changed {
  const { id, at, by, reason, deed } = changes[index]!;
  return {
    kind: 'campaigns.changed',
    version: index + 1,
    change: id,
    what: deed.kind,
    by,
    decidedAt: at,
    reason,
    ...about(deed, () => SiteState.of(changes.slice(0, index))),
  };
}

function about(
  deed: Change['deed'],
  before: () => SiteState,
): Pick<Changed, 'subject' | 'from' | 'to' | 'proposedBy'> {
  switch (deed.kind) {
    case 'salted':
      // The salt is no secret from the agents, and no evidence either.
      return { subject: 'objections' };
    case 'campaign.set':
      return {
        subject: deed.campaign,
        from: facts(before().settingsOf(deed.campaign)),
        to: facts(deed.settings),
      };
    case 'campaign.reset':
      return { subject: deed.campaign, from: facts(before().settingsOf(deed.campaign)), to: {} };
    case 'raise.proposed': {
      const { campaign, ...raise } = deed.raise;
      return { subject: campaign, to: { proposal: deed.proposal, ...facts(raise) } };
    }
    case 'raise.approved':
    case 'raise.refused':
    case 'raise.expired': {
      const proposal = before().proposal(deed.proposal);
      if (proposal === undefined) return { subject: deed.proposal };
      const { campaign, rate, until, proposedBy, state } = proposal;
      const known = { proposal: deed.proposal, rate, until };
      return { subject: campaign, from: { state }, to: known, proposedBy };
    }
    case 'stopped': {
      const { scope, stop, until } = deed;
      return { subject: scopeName(scope), to: facts({ stop, until }) };
    }
    case 'resumed': {
      const stopped = before()
        .stops(new Date(0))
        .find(({ id }) => id === deed.stop);
      return {
        subject: stopped === undefined ? deed.stop : scopeName(stopped.scope),
        from: { stop: deed.stop },
      };
    }
    case 'agent.set':
      return {
        subject: deed.agent,
        from: facts(before().agents.get(deed.agent) ?? {}),
        to: facts(deed.facts),
      };
    case 'agent.removed':
      return { subject: deed.agent, from: facts(before().agents.get(deed.agent) ?? {}) };
    case 'objected':
      return { subject: deed.hash, to: { purpose: deed.purpose } };
    case 'objection.lifted':
      return { subject: deed.hash };
    default:
      return assertNever(deed);
  }
}

function scopeName(scope: Extract<Change['deed'], { kind: 'stopped' }>['scope']): string {
  if (scope.of === 'everything') return 'everything';
  return scope.of === 'campaign' ? scope.campaign : `site ${scope.site}`;
}

/** Values as they stand; lists and sections as JSON, so that an entry stays flat. */
function facts(values: object): Facts {
  return Object.fromEntries(
    Object.entries(values)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => [key, typeof value === 'object' ? JSON.stringify(value) : (value as string)]),
  );
}
