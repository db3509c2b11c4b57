import { constants } from 'node:fs';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { AppendFile } from '../../../agent/ledger/append-file.ts';
import { temporaryFolder } from '../../peers/temporary-folder.ts';

/** The flags with which the kernel has this file open in our process (proc(5): fdinfo, octal). */
async function flagsOf(path: string): Promise<number> {
  for (const fd of await readdir('/proc/self/fd')) {
    const target = await readlink(`/proc/self/fd/${fd}`).catch(() => undefined);
    if (target !== path) continue;
    const info = await readFile(`/proc/self/fdinfo/${fd}`, 'utf8');
    return Number.parseInt(/^flags:\s+([0-7]+)$/mu.exec(info)![1]!, 8);
  }
  throw new Error(`${path} is not open`);
}

test('the kernel writes each append to stable storage before it answers', async () => {
  await using folder = await temporaryFolder('append');
  const path = join(folder.path, 'lines');
  const { file } = await AppendFile.open(path);
  await using _file = file;
  const flags = await flagsOf(path);
  expect(flags & constants.O_DSYNC).toBe(constants.O_DSYNC);
  expect(flags & constants.O_APPEND).toBe(constants.O_APPEND);
  await file.append('one\n');
  expect(await readFile(path, 'utf8')).toBe('one\n');
  expect(file.size).toBe(4);
});
