/** A campaign: which calls, under which rules. */
import { z } from 'zod';
import { mandate, transfer } from './declaration.ts';
import { match } from './match.ts';
import { isoDate, language, languages, name, place, timeZone, type Language } from './values.ts';

export { rangeOf, type Match, type TimeWindow, type Weekday } from './match.ts';
export type { Transfer } from './declaration.ts';

export const consentMode = z.enum(['notice', 'object', 'consent']);
export type ConsentMode = z.infer<typeof consentMode>;

export const digit = z.enum(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D']);

const code = z.string().regex(/^[0-9*#A-D]{2,8}$/u, 'two to eight keys, e.g. "*71"');

export const recordingClass = z.enum(['quality', 'training', 'complaint', 'contract-proof', 'mandated']);
export type RecordingClass = z.infer<typeof recordingClass>;

/** Laws that order recording: what a mandated campaign obeys. */
export const duty = z.enum(['insurance-cold-call', 'investment']);

/** A rate above this needs a reason of its own: no text sets it, but nobody should pass it unawares. */
export const unquestionedRate = 0.3;

const translation = z.strictObject({
  countries: z.array(place).default([]).describe("countries of the outside party's number that it is for"),
  header: z
    .strictObject({ name: z.string().min(1), value: z.string().min(1) })
    .optional()
    .describe('a header that says so, e.g. the language chosen in the IVR; it goes before the number'),
  prompt: z.string().describe('in place of announcement.prompt'),
  consentPrompt: z.string().optional().describe('in place of announcement.consentPrompt'),
  refusedPrompt: z.string().optional().describe('in place of announcement.refusedPrompt'),
  language: language.optional().describe('in place of announcement.language'),
});

export const campaignSchema = z
  .strictObject({
    name,
    direction: z.enum(['inbound', 'outbound']).describe('inbound: from a trunk; outbound: from a PBX'),
    match,
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
    dailyGuard: z.int().min(1).optional().describe('most calls selected on one day; left out: no guard'),
    timeZone: timeZone
      .optional()
      .describe("whose days and months the sample is counted by; left out: the site's"),
    agentShare: z
      .strictObject({ min: z.number().min(0).max(1), max: z.number().min(0).max(1) })
      .refine(({ min, max }) => min <= max, { error: 'min not above max' })
      .optional()
      .describe(
        "declared band of each agent's recorded share of the drawn conversations; `tacet report agents` says who has left it",
      ),
    purpose: z
      .enum([
        'reception-evaluation',
        'weakpoint-analysis',
        'complaint',
        'training',
        'contract-proof',
        'legal-obligation',
      ])
      .describe('what the recordings are for; exactly one (GDPR Art. 5(1)(b))'),
    class: recordingClass.default('quality').describe('which rules of the law packs apply'),
    duty: duty.optional().describe('the duty to record; with class "mandated" only'),
    trigger: z
      .enum(['sampled', 'on-demand'])
      .default('sampled')
      .describe('on-demand: never drawn, recorded when somebody asks for it in the call'),
    legalBasis: z
      .enum(['legitimate-interest', 'consent', 'contract', 'legal-obligation'])
      .default('legitimate-interest')
      .describe('GDPR Art. 6(1)'),
    legalText: z
      .string()
      .min(1)
      .optional()
      .describe('the text that orders recording; needed at rate 1 and in class "mandated"'),
    necessity: z
      .string()
      .min(1)
      .optional()
      .describe('why so many are needed and what else was considered; needed above a rate of 0.3'),
    declaredOn: isoDate
      .optional()
      .describe('since when it runs; left out, it counts as new, and law packs past their review block it'),
    whenUnrecordable: z
      .enum(['put-through', 'refuse'])
      .default('put-through')
      .describe(
        'what becomes of a call that could not be recorded because Redis, the ledger or the media plane is out when it comes; refuse: it gets 503, in class "mandated" only',
      ),
    controller: z.string().min(1).describe('the company that the calls are recorded for (GDPR Art. 4(7))'),
    controllerSeat: place.optional().describe('where the controller is established; left out: the market'),
    processor: z.string().min(1).optional().describe('who records on its behalf (GDPR Art. 28)'),
    subProcessors: z.array(z.string().min(1)).default([]).describe('whom the processor passes recordings to'),
    market: place.default('FR').describe('whose consumers are called or call: their law applies'),
    agentsSite: place.default('FR').describe('where the staff works: their law applies too'),
    storagePlaces: z
      .array(place)
      .min(1)
      .optional()
      .describe("where recordings are kept; left out: at the agents' site"),
    listeningPlaces: z
      .array(place)
      .min(1)
      .optional()
      .describe("where recordings are listened to; left out: at the agents' site"),
    transfers: z
      .array(transfer)
      .default([])
      .describe('why recordings may be kept or heard outside the EEA; a place without one blocks recording'),
    unknownNumbers: z
      .enum(['not-recorded', 'as-market'])
      .default('not-recorded')
      .describe('outside parties whose number is withheld or of no country: their law is not known'),
    mandate: mandate.describe('references that the law packs ask for'),
    retentionDays: z
      .int()
      .min(1)
      .max(1827)
      .optional()
      .describe(
        'shortened to what the law packs allow; left out: 183, or what the law orders in class "mandated"',
      ),
    announcement: z
      .strictObject({
        prompt: z
          .string()
          .default('fr-object')
          .describe('a prompt of config/prompts or a path to a WAV file (8 kHz mono)'),
        consentPrompt: z
          .string()
          .default('fr-consent')
          .describe('what is asked where the law wants a yes before anything is recorded'),
        refusedPrompt: z
          .string()
          .optional()
          .describe('what whoever has refused is told at once, e.g. `fr-refused`; left out: nothing'),
        translations: z
          .array(translation)
          .default([])
          .describe('prompts in other languages; the first that fits is played'),
        language: language
          .optional()
          .describe(
            'in which a recogniser hears refusals; left out: that of a prompt that ships, by its name',
          ),
        graceMs: z
          .int()
          .min(0)
          .max(10_000)
          .default(1_000)
          .describe('time to refuse after the prompt has ended'),
        consentGraceMs: z
          .int()
          .min(0)
          .max(20_000)
          .default(5_000)
          .describe('time to say yes after the question has ended; silence is a no'),
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
      .describe(
        'leave the media (by re-INVITE) once nothing of the call is kept or will be: after a refusal',
      ),
    onDemand: z
      .boolean()
      .default(false)
      .describe(
        'whether a call in progress may be recorded by order, beside the sample and not counted in its rate',
      ),
    agentCodes: z
      .strictObject({
        pause: code.optional().describe('keys by which the agent pauses the recording, e.g. "*71"'),
        payment: code
          .optional()
          .describe('the same while the caller says or presses a card number: the gap is declared as masked'),
        resume: code.optional().describe('keys by which the agent lets it go on, e.g. "*72"'),
        record: code
          .optional()
          .describe('keys by which the agent has the call recorded from now on, where `onDemand` allows it'),
        private: code
          .optional()
          .describe(
            'keys by which the agent says that the call is a private one: what was recorded is destroyed',
          ),
      })
      .prefault({})
      .describe('keys that an agent presses one after the other within three seconds each; left out: none'),
    repeatKeys: z
      .array(digit)
      .default([])
      .describe('keys by which the outside party hears the announcement once more, three times at most'),
    refusalKeys: z
      .array(digit)
      .min(1)
      .default(['2'])
      .describe('keys by which the outside party refuses, until the call ends'),
    refusalVoice: z
      .enum(['any-speech', 'recogniser', 'none'])
      .default('any-speech')
      .describe(
        'any-speech: somebody who speaks between the start of the announcement and the end of its grace has refused, whatever they say; recogniser: a speech server understands who refuses, until the call ends, and where it does not answer in time any speech counts; where the law asks for a yes, only keys count',
      ),
    consentKeys: z
      .array(digit)
      .min(1)
      .default(['1'])
      .describe('keys that are a yes where the law asks for one, until the window ends'),
  })
  .superRefine((campaign, context) => {
    for (const [path, message] of contradictions(campaign)) {
      const input = campaign[path[0] as keyof typeof campaign];
      context.addIssue({ code: 'custom', path, message, input });
    }
  });

export type Campaign = z.infer<typeof campaignSchema>;

/** The language in which a party that hears this prompt refuses; undefined where nobody said it. */
export function languageOf(spoken: {
  prompt: string;
  language?: Language | undefined;
}): Language | undefined {
  return (
    spoken.language ??
    language.safeParse(/^(?<code>[a-z]{2})-[a-z]+$/u.exec(spoken.prompt)?.groups?.['code']).data
  );
}

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

type Contradiction = [path: (string | number)[], message: string];

/** What may not stand together in one campaign, each with the key to mend. */
function* contradictions(campaign: Campaign): Generator<Contradiction> {
  yield* rateContradictions(campaign);
  yield* classContradictions(campaign);
  yield* keyContradictions(campaign);
  if (campaign.refusalVoice === 'recogniser') yield* languageContradictions(campaign);
  for (const [index, { countries, header }] of campaign.announcement.translations.entries()) {
    if (countries.length > 0 || header !== undefined) continue;
    yield [['announcement', 'translations', index], 'a translation needs countries or a header'];
  }
}

function* keyContradictions({
  refusalKeys,
  consentKeys,
  repeatKeys,
  agentCodes,
}: Campaign): Generator<Contradiction> {
  const refusing = (keys: readonly string[]): string | undefined =>
    keys.find((key) => refusalKeys.some((no) => no === key));
  const [consents, repeats] = [refusing(consentKeys), refusing(repeatKeys)];
  if (consents !== undefined) yield [['consentKeys'], `the key ${consents} is a refusal already`];
  if (repeats !== undefined) yield [['repeatKeys'], `the key ${repeats} is a refusal already`];
  const consented = repeatKeys.find((key) => consentKeys.includes(key));
  if (consented !== undefined) yield [['repeatKeys'], `the key ${consented} is a yes already`];
  const codes = Object.entries(agentCodes).filter((each): each is [string, string] => each[1] !== undefined);
  for (const [name, code] of codes) {
    const hidden = codes.find(([other, longer]) => other !== name && longer.includes(code));
    if (hidden !== undefined)
      yield [['agentCodes', name], `the code ${code} would be heard in that of ${hidden[0]}`];
  }
}

function* languageContradictions({ announcement }: Campaign): Generator<Contradiction> {
  const missing =
    'a recogniser must know in which language a refusal is said: one of ' + languages.join(', ');
  if (languageOf(announcement) === undefined) yield [['announcement', 'language'], missing];
  for (const [index, translation] of announcement.translations.entries()) {
    if (languageOf(translation) === undefined)
      yield [['announcement', 'translations', index, 'language'], missing];
  }
}

function* rateContradictions({ rate, class: of, legalText, necessity }: Campaign): Generator<Contradiction> {
  if (of === 'mandated' || rate > 1) return;
  if (rate >= 1 && legalText === undefined) {
    yield [
      ['rate'],
      'recording every conversation needs a law that orders it: class "mandated", or name the text in legalText',
    ];
  } else if (rate > unquestionedRate && legalText === undefined && necessity === undefined) {
    yield [
      ['necessity'],
      `a rate above ${unquestionedRate} needs a reason: why so many, and what else was considered`,
    ];
  }
}

function* classContradictions(campaign: Campaign): Generator<Contradiction> {
  const { class: of, purpose, trigger, legalBasis, legalText } = campaign;
  const mandated = of === 'mandated';
  if (mandated && legalText === undefined) {
    yield [['legalText'], 'class "mandated" needs the text that orders recording'];
  }
  if (mandated && campaign.duty === undefined) yield [['duty'], `one of ${duty.options.join(', ')}`];
  if (!mandated && campaign.duty !== undefined) yield [['duty'], 'it goes with class "mandated" only'];
  if (!mandated && campaign.whenUnrecordable === 'refuse') {
    yield [['whenUnrecordable'], '"refuse" goes with class "mandated" only: elsewhere the call comes first'];
  }
  if (mandated && legalBasis !== 'legal-obligation') {
    yield [['legalBasis'], 'class "mandated" rests on "legal-obligation"'];
  }
  if (legalBasis === 'legal-obligation' && legalText === undefined && !mandated) {
    yield [['legalText'], 'legalBasis "legal-obligation" needs the text that orders recording'];
  }
  if ((purpose === 'legal-obligation') !== mandated) {
    yield [['purpose'], 'purpose "legal-obligation" and class "mandated" go together'];
  }
  // CNIL SAN-2023-008: "in case someone complains" is no reason to sample.
  if ((purpose === 'complaint' || of === 'complaint') && trigger !== 'on-demand') {
    yield [['trigger'], 'complaints are recorded on demand only, never sampled'];
  }
  // CNIL, 25 April 2022: no start by default, only once the talk is clearly about the contract.
  if (of === 'contract-proof' && trigger !== 'on-demand') {
    yield [['trigger'], 'class "contract-proof" is recorded on demand only, never sampled'];
  }
}
