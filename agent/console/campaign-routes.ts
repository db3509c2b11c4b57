/** Campaigns over the API: what they are now, what was changed, what the law says, raises and their approval. */
import { z } from 'zod';
import { campaignSchema, type Campaign } from '../../config/schema.ts';
import { changeSchema, liveSettings, raise } from '../campaigns/changes.ts';
import { campaignOf } from '../campaigns/orders.ts';
import { freeCeiling } from '../campaigns/state.ts';
import { explain } from '../law/explain.ts';
import { simulate } from '../law/simulate.ts';
import type { ConsoleParts } from './parts.ts';
import { RequestRefused } from './problem.ts';
import { authorOf, route, type Route } from './route.ts';

const byCampaign = z.strictObject({ campaign: z.string() });
const byProposal = z.strictObject({ proposal: z.string() });
const reason = z.string().min(1).optional().describe('for the history');

const campaignShown = z.object({
  version: z.int().describe('of its last change; 0: as its file says'),
  campaign: campaignSchema.describe('as it is now'),
  file: z.object({ rate: z.number() }),
  freeCeiling: z.number().describe('the greatest rate that one person may set'),
  raisedUntil: z.string().optional(),
  stopped: z.boolean(),
});

const proposalShown = raise.extend({
  id: z.string(),
  state: z.enum(['proposed', 'approved', 'refused', 'expired', 'ended']),
  proposedBy: z.string(),
  proposedAt: z.string(),
  decidedBy: z.string().optional(),
  decidedAt: z.string().optional(),
});

export function campaignRoutes(parts: ConsoleParts): Route[] {
  const { live } = parts;
  return [
    route({
      method: 'GET',
      path: '/v1/campaigns',
      scope: 'read',
      does: 'All campaigns as they are now.',
      answer: z.object({ campaigns: z.array(campaignShown) }),
      handle: () => ({ body: { campaigns: live.files.map((file) => shown(parts, file)) } }),
    }),
    route({
      method: 'GET',
      path: '/v1/campaigns/{campaign}',
      scope: 'read',
      does: 'One campaign; its ETag is the version for If-Match.',
      params: byCampaign,
      answer: campaignShown,
      handle: ({ params }) => one(parts, params.campaign),
    }),
    route({
      method: 'PATCH',
      path: '/v1/campaigns/{campaign}',
      scope: 'campaigns:write',
      does: 'Changes what one person may change; it acts on the next call.',
      params: byCampaign,
      body: liveSettings.extend({ reason }),
      answer: campaignShown,
      locked: true,
      handle: async ({ params, body: { reason: why, ...settings }, by, expected }) => {
        await live.set(authorOf(by, why), params.campaign, settings, expected);
        return one(parts, params.campaign);
      },
    }),
    route({
      method: 'DELETE',
      path: '/v1/campaigns/{campaign}/changes',
      scope: 'campaigns:write',
      does: 'Back to what the campaigns file says.',
      params: byCampaign,
      answer: campaignShown,
      locked: true,
      handle: async ({ params, by, expected }) => {
        await live.reset({ by }, params.campaign, expected);
        return one(parts, params.campaign);
      },
    }),
    ...lookRoutes(parts),
    ...proposalRoutes(parts),
  ];
}

function lookRoutes(parts: ConsoleParts): Route[] {
  const { live, law, sampler, clock } = parts;
  const now = (name: string): Campaign => live.now(fileOf(parts, name));
  return [
    route({
      method: 'GET',
      path: '/v1/history',
      scope: 'read',
      does: 'Every change in its order, the oldest first; of one campaign, or after a version.',
      query: z.strictObject({
        campaign: z.string().optional(),
        after: z.coerce.number().int().min(0).default(0),
      }),
      answer: z.object({ changes: z.array(changeSchema.extend({ version: z.int() })) }),
      handle: ({ query }) => ({ body: { changes: historyOf(parts, query.campaign, query.after) } }),
    }),
    route({
      method: 'GET',
      path: '/v1/campaigns/{campaign}/explanation',
      scope: 'read',
      does: 'Which law gives which value, for the campaign or for a call with a number.',
      params: byCampaign,
      query: z.strictObject({ outside: z.string().optional() }),
      handle: ({ params, query }) => ({
        body: explain(now(params.campaign), { outside: query.outside, now: clock() }, law),
      }),
    }),
    route({
      method: 'GET',
      path: '/v1/campaigns/{campaign}/simulation',
      scope: 'read',
      does: 'What a rate would mean in volume, storage and money, and what the law says to it.',
      params: byCampaign,
      query: z.strictObject({
        rate: z.coerce.number().min(0).max(1).optional(),
        callsPerDay: z.coerce.number().min(0).max(10_000_000),
        minutes: z.coerce.number().min(0).max(1_440).default(4),
        daysPerWeek: z.coerce.number().min(0).max(7).default(5),
        refusals: z.coerce.number().min(0).max(1).default(0.05),
        pricePerGbMonth: z.coerce.number().min(0).default(0.02),
      }),
      handle: ({ params, query }) => {
        const campaign = now(params.campaign);
        return { body: simulate(campaign, { ...query, rate: query.rate ?? campaign.rate }, clock(), law) };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/campaigns/{campaign}/sample',
      scope: 'read',
      does: 'Counts of this month: eligible conversations, of these recorded, and selected ones still open.',
      params: byCampaign,
      answer: z.object({ eligible: z.int(), recorded: z.int(), open: z.int() }),
      handle: async ({ params }) => {
        const { name, timeZone } = fileOf(parts, params.campaign);
        const counts = await sampler.counts(name, timeZone);
        if (counts !== undefined) return { body: counts };
        throw new RequestRefused(503, 'counts-unavailable', 'the counters of the sample cannot be reached');
      },
    }),
  ];
}

function proposalRoutes({ live }: ConsoleParts): Route[] {
  const found = (id: string): unknown => live.state.proposal(id);
  const decide = (verb: 'approve' | 'refuse', does: string): Route =>
    route({
      method: 'POST',
      path: `/v1/proposals/{proposal}/${verb}`,
      scope: 'campaigns:approve',
      does,
      params: byProposal,
      body: z.strictObject({ reason }),
      answer: proposalShown,
      handle: async ({ params, body, by }) => {
        await live.decide(authorOf(by, body.reason), params.proposal, verb === 'approve');
        return { body: found(params.proposal) };
      },
    });
  return [
    route({
      method: 'GET',
      path: '/v1/proposals',
      scope: 'read',
      does: 'All proposals of a higher rate, with what became of them.',
      answer: z.object({ proposals: z.array(proposalShown) }),
      handle: () => ({ body: { proposals: live.state.proposals } }),
    }),
    route({
      method: 'POST',
      path: '/v1/proposals',
      scope: 'campaigns:write',
      does: 'Proposes a rate above what one person may set, until a date.',
      body: raise,
      answer: proposalShown,
      handle: async ({ body, by }) => {
        const id = await live.propose({ by, reason: body.justification }, body);
        return { status: 201, body: found(id) };
      },
    }),
    decide('approve', 'Approves it: by another person than the one who proposed it.'),
    decide('refuse', 'Refuses it.'),
  ];
}

function one(parts: ConsoleParts, name: string): { version: number; body: object } {
  const body = shown(parts, fileOf(parts, name));
  return { version: body.version, body };
}

function shown({ live, clock }: ConsoleParts, file: Campaign) {
  const raised = live.state.raiseOf(file.name, clock());
  return {
    version: live.state.versionOf(file.name),
    campaign: live.now(file),
    file: { rate: file.rate },
    freeCeiling: freeCeiling(file),
    ...(raised === undefined ? {} : { raisedUntil: raised.until }),
    stopped: live.stopOf(file.name) !== undefined,
  };
}

function fileOf({ live }: ConsoleParts, name: string): Campaign {
  return campaignOf({ campaigns: new Map(live.files.map((file) => [file.name, file])) }, name);
}

function historyOf({ live }: ConsoleParts, campaign: string | undefined, after: number): object[] {
  const { state } = live;
  return live.history
    .map((change, index) => ({ version: index + 1, ...change }))
    .filter(({ version, deed }) => {
      if (version <= after) return false;
      if (campaign === undefined) return true;
      if ('campaign' in deed) return deed.campaign === campaign;
      if ('raise' in deed) return deed.raise.campaign === campaign;
      if ('proposal' in deed) return state.proposal(deed.proposal)?.campaign === campaign;
      return 'scope' in deed && (deed.scope.of !== 'campaign' || deed.scope.campaign === campaign);
    })
    .map(({ deed, ...change }) => ({
      ...change,
      // A salt is for hashes, not for readers.
      deed: deed.kind === 'salted' ? { ...deed, salt: '' } : deed,
    }));
}
