/** How the words of a refusal are told to a recogniser, and found in what it understood. */
import type { RefusalWords } from '../../config/refusal-words.ts';

/** Everything else that is said. */
const unknown = '[unk]';

/** What the recogniser is to tell apart. */
export function grammarOf({ short, unmistakable, decoys }: RefusalWords): string[] {
  return [...new Set([...unmistakable, ...short, ...decoys].map(normalise)), unknown];
}

/**
 * The refusal in what was understood, if there is one; the longest, as the best evidence. Whole words count: a recogniser puts the
 * words of its phrases together as it likes, so the text need not be one of them.
 *
 * @param bare whether bare words count now
 */
export function refusalIn(text: string, words: RefusalWords, bare: boolean): string | undefined {
  const said = ` ${normalise(text)} `;
  const phrases = [...words.unmistakable, ...(bare ? words.short : [])].map(normalise);
  return phrases
    .filter((phrase) => said.includes(` ${phrase} `))
    .sort((one, other) => other.length - one.length)[0];
}

function normalise(text: string): string {
  return text
    .normalize('NFC')
    .toLowerCase()
    .replace(/[^\p{L}\p{M}\p{N}'[\]]+/gu, ' ')
    .trim();
}
