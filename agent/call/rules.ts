/** What a campaign comes down to for a call: its law and its prompt, both from memory on the INVITE path. */
import { languageOf, type Campaign } from '../../config/schema.ts';
import type { Language } from '../../config/schema/values.ts';
import type { Prompt } from '../../media/prompts/prompt.ts';
import type { Constraint } from '../law/constraint.ts';
import type { Law } from '../law/law.ts';
import { numberPlaces } from '../law/touch.ts';
import type { Withheld } from './withheld.ts';

export interface CampaignRule {
  campaign: Campaign;
  constraint: Constraint;
  prompt: Prompt;
  /** In which a recogniser understands the party. */
  language?: Language | undefined;
  /** What whoever has refused is told. */
  refusedPrompt?: Prompt | undefined;
  /** Why this call may not be recorded though its campaign and the law would let it be. */
  withheld?: Withheld | undefined;
}

/** What of a call decides its rule within its campaign. */
export interface RuledCall {
  /** Numbers of the outside parties. */
  outside: readonly string[];
  /** The one of them who is spoken to, in its language; where it is left out, any of them. */
  addressee?: string | undefined;
  header: (name: string) => string | undefined;
  /** ISO 8601 date. */
  today: string;
}

export type RuleOf = (campaign: Campaign, call: RuledCall) => CampaignRule;

interface Spoken {
  language: Language | undefined;
  prompt: Prompt;
  consentPrompt: Prompt;
  refusedPrompt: Prompt | undefined;
}

interface Translated extends Spoken {
  of: Campaign['announcement']['translations'][number];
}

/**
 * Takes up campaigns: their prompts are read once, their law is computed for their own market.
 *
 * @param loadPrompt from its name in the campaigns file
 * @throws LawConflict, or what `loadPrompt` throws for a prompt that is missing or no telephone audio
 */
export async function prepareRules(
  campaigns: readonly Campaign[],
  law: Law,
  loadPrompt: (name: string) => Promise<Prompt>,
  today: string,
): Promise<RuleOf> {
  // By name: what is changed while it runs makes another object of a campaign, with the same voice.
  const spoken = new Map<string, { usual: Spoken; translations: Translated[] }>();
  for (const campaign of campaigns) {
    law.take(campaign, today);
    const { prompt, consentPrompt, refusedPrompt, translations } = campaign.announcement;
    const usual = {
      language: languageOf(campaign.announcement),
      prompt: await loadPrompt(prompt),
      consentPrompt: await loadPrompt(consentPrompt),
      refusedPrompt: refusedPrompt === undefined ? undefined : await loadPrompt(refusedPrompt),
    };
    const others = translations.map(async (of) => ({
      of,
      language: languageOf(of),
      prompt: await loadPrompt(of.prompt),
      consentPrompt:
        of.consentPrompt === undefined ? usual.consentPrompt : await loadPrompt(of.consentPrompt),
      refusedPrompt:
        of.refusedPrompt === undefined ? usual.refusedPrompt : await loadPrompt(of.refusedPrompt),
    }));
    spoken.set(campaign.name, { usual, translations: await Promise.all(others) });
  }
  return (campaign, call) => {
    const constraint = law.constrain(campaign, call);
    const { usual, translations } = spoken.get(campaign.name)!;
    const { outside, addressee, header } = call;
    const spokenTo = addressee === undefined ? outside : [addressee];
    const { language, prompt, consentPrompt, refusedPrompt } =
      translationFor(campaign, translations, { outside: spokenTo, header }) ?? usual;
    const played = constraint.mode === 'consent' ? consentPrompt : prompt;
    return { campaign, constraint, language, prompt: played, refusedPrompt };
  };
}

/** By the header that tells the language chosen in the IVR, else by the country of the number. */
function translationFor(
  campaign: Campaign,
  translations: readonly Translated[],
  { outside, header }: Pick<RuledCall, 'outside' | 'header'>,
): Translated | undefined {
  if (translations.length === 0) return undefined;
  const chosen = translations.find(
    ({ of }) => of.header !== undefined && header(of.header.name)?.trim() === of.header.value,
  );
  if (chosen !== undefined) return chosen;
  const places = numberPlaces(campaign, outside);
  return translations.find(({ of }) =>
    places.some((place) => place !== undefined && of.countries.includes(place)),
  );
}
