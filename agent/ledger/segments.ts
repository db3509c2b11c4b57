/** The files of a ledger: `000001.jsonl`, `000002.jsonl`, ..., each a piece of one chain. */
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

const segmentName = /^\d{6}\.jsonl$/u;

export function segmentFile(number: number): string {
  return `${String(number).padStart(6, '0')}.jsonl`;
}

/** Names of the segments, oldest first. */
export async function listSegments(directory: string): Promise<string[]> {
  return (await readdir(directory)).filter((name) => segmentName.test(name)).toSorted();
}

/**
 * The lines of all segments, oldest first, without their line feeds. Bytes that are not UTF-8 come as U+FFFD, so that
 * they cannot pass for what was written. A last line without a line feed is `whole: false`.
 */
export async function* readLines(
  directory: string,
  segments?: readonly string[],
): AsyncGenerator<{ text: string; whole: boolean; segment: string }> {
  for (const segment of segments ?? (await listSegments(directory))) {
    let rest = '';
    const stream = createReadStream(join(directory, segment), { encoding: 'utf8' });
    for await (const chunk of stream as AsyncIterable<string>) {
      const pieces = (rest + chunk).split('\n');
      rest = pieces.pop() ?? '';
      for (const text of pieces) yield { text, whole: true, segment };
    }
    if (rest !== '') yield { text: rest, whole: false, segment };
  }
}
