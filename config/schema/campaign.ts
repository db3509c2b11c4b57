/** A campaign: which calls, under which rules. */
import { z } from 'zod';
import { name, numberPattern } from './values.ts';

export const consentMode = z.enum(['notice', 'object', 'consent']);
export type ConsentMode = z.infer<typeof consentMode>;

export const digit = z.enum(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D']);

const code = z.string().regex(/^[0-9*#A-D]{2,8}$/u, 'two to eight keys, e.g. "*71"');

export const recordingClass = z.enum(['quality', 'training', 'complaint', 'contract-proof']);
export type RecordingClass = z.infer<typeof recordingClass>;

export const campaignSchema = z.strictObject({
  name,
  direction: z.enum(['inbound', 'outbound']).describe('inbound: from a trunk; outbound: from a PBX'),
  match: z
    .strictObject({
      called: z.array(numberPattern).min(1).optional().describe('called numbers or prefixes'),
      caller: z.array(numberPattern).min(1).optional().describe('caller numbers or prefixes'),
      header: z
        .strictObject({ name: z.string().min(1), value: z.string().min(1) })
        .optional()
        .describe('a SIP header whose value is exactly this'),
      trunk: name.optional().describe('the peer that the call came from'),
    })
    .refine((match) => Object.values(match).some((part) => part !== undefined), {
      error: 'at least one of called, caller, header, trunk; all that are given must match',
    })
    .describe('which calls belong to it: all that is given must match; the most specific campaign wins'),
  rate: z
    .number()
    .min(0)
    .max(1)
    .default(0.3)
    .describe('ceiling of the recorded share of eligible conversations'),
  announcedCap: z
    .number()
    .min(1)
    .max(10)
    .default(1.5)
    .describe(
      'ceiling of the announced share as a multiple of the rate: how far refused calls are made up for',
    ),
  dailyGuard: z.int().min(1).optional().describe('most calls selected on one day (UTC); left out: no guard'),
  purpose: z
    .enum(['reception-evaluation', 'weakpoint-analysis', 'complaint', 'training'])
    .describe('what the recordings are for; exactly one (GDPR Art. 5(1)(b))'),
  class: recordingClass.default('quality').describe('which retention rules of the law packs apply'),
  legalBasis: z
    .enum(['legitimate-interest', 'consent', 'contract', 'legal-obligation'])
    .default('legitimate-interest')
    .describe('GDPR Art. 6(1)'),
  controller: z.string().min(1).describe('the company that the calls are recorded for (GDPR Art. 4(7))'),
  market: z
    .string()
    .regex(/^[A-Z]{2}$/u, 'an ISO 3166 country code, e.g. "FR"')
    .default('FR')
    .describe('whose consumers are called or call: their law applies'),
  agentsSite: z
    .string()
    .regex(/^[A-Z]{2}$/u, 'an ISO 3166 country code, e.g. "FR"')
    .default('FR')
    .describe('where the staff works: their law applies too'),
  retentionDays: z.int().min(1).max(1827).default(183).describe('shortened to what the law packs allow'),
  announcement: z
    .strictObject({
      prompt: z
        .string()
        .default('fr-object')
        .describe('a prompt of config/prompts or a path to a WAV file (8 kHz mono)'),
      graceMs: z
        .int()
        .min(0)
        .max(10_000)
        .default(1_000)
        .describe('time to refuse after the prompt has ended'),
      placement: z
        .enum(['before-connect', 'early-media', 'on-answer'])
        .optional()
        .describe(
          'inbound: before-connect (the default: answered, told, then the agent is called), early-media (told before anybody answers), on-answer (told when the agent has answered); outbound: on-answer',
        ),
      agentHears: z
        .enum(['prompt', 'tone'])
        .default('prompt')
        .describe('on-answer: what the agent hears meanwhile'),
    })
    .prefault({}),
  announceTransferred: z
    .enum(['never', 'new-party', 'all'])
    .default('new-party')
    .describe(
      'who is told when a transfer brings an outside party into a recorded call; untold, the call is no longer recorded',
    ),
  releaseMedia: z
    .boolean()
    .default(false)
    .describe('leave the media (by re-INVITE) once nothing of the call is kept or will be: after a refusal'),
  onDemand: z
    .boolean()
    .default(false)
    .describe(
      'whether a call in progress may be recorded by order, beside the sample and not counted in its rate',
    ),
  agentCodes: z
    .strictObject({
      pause: code.optional().describe('keys by which the agent pauses the recording, e.g. "*71"'),
      resume: code.optional().describe('keys by which the agent lets it go on, e.g. "*72"'),
    })
    .prefault({})
    .describe('keys that an agent presses one after the other within three seconds each; left out: none'),
  refusalKeys: z
    .array(digit)
    .min(1)
    .default(['2'])
    .describe('keys by which the outside party refuses, until the call ends'),
});

export type Campaign = z.infer<typeof campaignSchema>;

export const campaignsFileSchema = z
  .strictObject({ campaigns: z.array(campaignSchema).describe('what is recorded, and under which rules') })
  .superRefine(({ campaigns }, context) => {
    const seen = new Set<string>();
    for (const [index, campaign] of campaigns.entries()) {
      const { placement } = campaign.announcement;
      if (campaign.direction === 'outbound' && placement !== undefined && placement !== 'on-answer') {
        context.addIssue({
          code: 'custom',
          path: ['campaigns', index, 'announcement', 'placement'],
          message: 'an outbound call is told when the called party answers: only "on-answer"',
          input: placement,
        });
      }
      if (seen.has(campaign.name)) {
        context.addIssue({
          code: 'custom',
          path: ['campaigns', index, 'name'],
          message: `the name "${campaign.name}" is taken by another campaign`,
          input: campaign.name,
        });
      }
      seen.add(campaign.name);
    }
  });
