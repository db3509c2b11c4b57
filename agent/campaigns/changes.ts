/**
 * What people decide about campaigns while Tacet runs, one change after the other. The site's live state is what these
 * changes, in their order, make of it (`state.ts`): so the history is the state, and cannot differ from it.
 */
import { z } from 'zod';
import { isoDate, name } from '../../config/schema/values.ts';

/** What of a campaign changes while it runs; the rest is its file's, and takes a restart. */
export const liveSettings = z.strictObject({
  rate: z.number().min(0).max(1).optional().describe('ceiling of the recorded share'),
  announcedCap: z
    .number()
    .min(1)
    .max(10)
    .optional()
    .describe('ceiling of the announced share, in multiples of the rate'),
  dailyGuard: z.int().min(1).optional().describe('most calls selected on one day'),
});
export type LiveSettings = z.infer<typeof liveSettings>;

/** A raise above what may be set without a second person. */
export const raise = z.strictObject({
  campaign: name,
  rate: z.number().gt(0).max(1),
  purpose: z.string().min(1).describe("the campaign's purpose, as the proposer understands it"),
  justification: z.string().min(1).describe('why so many, and what else was considered'),
  references: z
    .array(z.string().min(1))
    .min(1)
    .describe('impact assessment, opinion, works council, instruction'),
  legalText: z.string().min(1).optional().describe('the text that orders it; needed at 1 outside "mandated"'),
  until: z.iso.datetime().describe('when the rate falls back by itself'),
});
export type Raise = z.infer<typeof raise>;

export const stopScope = z.discriminatedUnion('of', [
  z.strictObject({ of: z.literal('campaign'), campaign: name }),
  z.strictObject({ of: z.literal('site'), site: name }),
  z.strictObject({ of: z.literal('everything') }),
]);
export type StopScope = z.infer<typeof stopScope>;

export const agentFacts = z.strictObject({
  protected: z.boolean().optional().describe('staff representatives: never recorded, whatever else is set'),
  noticeOn: isoDate
    .optional()
    .describe('the day on which the agent was informed in person; without it: never recorded'),
  privateLines: z
    .array(z.string().min(1))
    .optional()
    .describe('numbers whose calls with this agent are private'),
  band: z
    .strictObject({ from: z.number().min(0).max(1), to: z.number().min(0).max(1) })
    .optional()
    .describe("declared band of the agent's recorded share"),
});
export type AgentFacts = z.infer<typeof agentFacts>;

const deed = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('salted'), salt: z.string() }),
  z.strictObject({ kind: z.literal('campaign.set'), campaign: name, settings: liveSettings }),
  z.strictObject({ kind: z.literal('campaign.reset'), campaign: name }),
  z.strictObject({ kind: z.literal('raise.proposed'), proposal: z.string(), raise }),
  z.strictObject({ kind: z.literal('raise.approved'), proposal: z.string() }),
  z.strictObject({ kind: z.literal('raise.refused'), proposal: z.string() }),
  z.strictObject({ kind: z.literal('raise.expired'), proposal: z.string() }),
  z.strictObject({
    kind: z.literal('stopped'),
    stop: z.string(),
    scope: stopScope,
    until: z.iso.datetime().optional(),
  }),
  z.strictObject({ kind: z.literal('resumed'), stop: z.string() }),
  z.strictObject({ kind: z.literal('agent.set'), agent: z.string().min(1), facts: agentFacts }),
  z.strictObject({ kind: z.literal('agent.removed'), agent: z.string().min(1) }),
  z.strictObject({ kind: z.literal('objected'), hash: z.string(), purpose: z.string() }),
  z.strictObject({ kind: z.literal('objection.lifted'), hash: z.string() }),
]);
export type Deed = z.infer<typeof deed>;

export const changeSchema = z.strictObject({
  /** Tells a change that is sent twice. */
  id: z.string().min(1),
  at: z.iso.datetime(),
  by: z.string().min(1),
  reason: z.string().optional(),
  deed,
});
export type Change = z.infer<typeof changeSchema>;

/** Whether a change can only lead to fewer recordings: such a one is never lost for another's sake. */
export function onlyRestricts({ deed }: Change): boolean {
  if (deed.kind === 'agent.set') return deed.facts.protected === true;
  return ['stopped', 'objected', 'raise.refused', 'raise.expired'].includes(deed.kind);
}
