/** The words of a refusal, by language: data for whoever understands speech (`media/voice/`). */
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { loadYaml } from './load.ts';
import { languages, type Language } from './schema/values.ts';

const phrases = z.array(z.string().min(1)).min(1);

const refusalWordsSchema = z.strictObject({
  short: phrases.describe('bare words: a refusal until five seconds after the announcement'),
  unmistakable: phrases.describe('a refusal until the call ends'),
  decoys: phrases.describe('what is likely to be said instead'),
});

export type RefusalWords = z.infer<typeof refusalWordsSchema>;

/** What ships. @throws ConfigInvalid */
export async function loadRefusalWords(): Promise<Record<Language, RefusalWords>> {
  const read = async (language: Language): Promise<[Language, RefusalWords]> => {
    const path = fileURLToPath(new URL(`./refusal-words/${language}.yaml`, import.meta.url));
    return [language, await loadYaml(path, refusalWordsSchema)];
  };
  return Object.fromEntries(await Promise.all(languages.map(read))) as Record<Language, RefusalWords>;
}
