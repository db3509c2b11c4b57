/** Live campaigns of one agent for a test: a ledger in memory, a clock that stands where it is put. */
import { join } from 'node:path';
import { ChangeJournal } from '../../../agent/campaigns/change-journal.ts';
import type { Raise } from '../../../agent/campaigns/changes.ts';
import { LiveCampaigns } from '../../../agent/campaigns/live.ts';
import { openRedisChanges, type RedisChanges } from '../../../agent/campaigns/redis-changes.ts';
import type { Ledger, LedgerEvent } from '../../../agent/ledger/ledger.ts';
import type { Campaign } from '../../../config/schema.ts';
import { temporaryFolder } from '../../peers/temporary-folder.ts';
import { book, campaign, pack, staff } from '../law/campaign-for-tests.ts';

export const support = campaign({ rate: 0.2 });
export const insured = campaign({
  name: 'insured',
  class: 'mandated',
  duty: 'insurance-cold-call',
  purpose: 'legal-obligation',
  legalBasis: 'legal-obligation',
  legalText: 'Code des assurances L112-2-2',
  rate: 0.5,
});

/** FR, no ceiling of its own but for every conversation. */
export const law = book([
  pack({
    classes: ['quality', 'training', 'mandated'],
    keep_max_days: 183,
    systematic: 'needs-legal-text',
    mode: 'object',
  }),
  staff,
  pack({ pack: 'FR-staff-mandated', side: 'employee', classes: ['mandated'] }),
]);

export const begin = new Date('2026-11-26T08:00:00.000Z');

export const raise: Raise = {
  campaign: 'support',
  rate: 0.6,
  purpose: 'training',
  justification: 'a new product, for a month',
  references: ['DPIA-7', 'CSE 2026-10-01'],
  until: '2026-12-26T00:00:00.000Z',
};

export const anna = { by: 'anna', reason: 'as agreed' };
export const bruno = { by: 'bruno' };

export interface OneAgent extends AsyncDisposable {
  live: LiveCampaigns;
  entries: Extract<LedgerEvent, { kind: 'campaigns.changed' }>[];
  log: ChangeJournal | RedisChanges;
}

export class Clock {
  now = begin;
  pass(days: number): void {
    this.now = new Date(this.now.getTime() + days * 86_400_000);
  }
}

export interface AgentOptions {
  clock?: Clock;
  /** Given: changes are shared there. */
  redis?: string;
  /** Given: what was known there before is known again. */
  folder?: string;
  campaigns?: readonly Campaign[];
  pollMs?: number;
  refuseEntries?: () => boolean;
}

export async function agentWith(options: AgentOptions = {}): Promise<OneAgent> {
  const { clock = new Clock(), redis, campaigns = [support, insured], pollMs } = options;
  const home = options.folder === undefined ? await temporaryFolder('campaigns') : undefined;
  const directory = options.folder ?? join(home!.path, 'campaigns');
  const entries: OneAgent['entries'] = [];
  const ledger: Ledger = {
    append: (event) => {
      if (options.refuseEntries?.() === true) return Promise.reject(new Error('disk full'));
      if (event.kind === 'campaigns.changed') entries.push(event);
      const entry = { sequence: 1, at: '', previous: '', hash: '', signature: '' };
      return Promise.resolve({ ...entry, event });
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const log =
    redis === undefined
      ? await ChangeJournal.open(directory)
      : await openRedisChanges({ url: redis, directory, ...(pollMs === undefined ? {} : { pollMs }) });
  const live = new LiveCampaigns({ campaigns, log, law, ledger, site: 'paris', clock: () => clock.now });
  return {
    live,
    entries,
    log,
    async [Symbol.asyncDispose]() {
      await live[Symbol.asyncDispose]();
      await home?.[Symbol.asyncDispose]();
    },
  };
}
