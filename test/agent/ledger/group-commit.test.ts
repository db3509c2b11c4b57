import { expect, test, vi } from 'vitest';
import { GroupCommit } from '../../../agent/ledger/group-commit.ts';

/** Commits batches into a list that the test sees. */
function collecting(lingerMs: number): { commits: GroupCommit<string, string>; batches: string[][] } {
  const batches: string[][] = [];
  const commits = new GroupCommit<string, string>((items) => {
    batches.push([...items]);
    return Promise.resolve(items.map((item) => `${item}!`));
  }, lingerMs);
  return { commits, batches };
}

test('what nothing waits for goes with the next item that something waits for, in its order', async () => {
  const { commits, batches } = collecting(3_600_000);
  const settled = [commits.add('one', 'soon'), commits.add('two', 'soon'), commits.add('three')];
  expect(await Promise.all(settled)).toEqual(['one!', 'two!', 'three!']);
  expect(batches).toEqual([['one', 'two', 'three']]);
});

test('what nothing waits for goes by itself when it has lingered', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const { commits, batches } = collecting(50);
    const settled = [commits.add('one', 'soon'), commits.add('two', 'soon')];
    await vi.advanceTimersByTimeAsync(49);
    expect(batches).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    await Promise.all(settled);
    expect(batches).toEqual([['one', 'two']]);
  } finally {
    vi.useRealTimers();
  }
});

test('what is handed in while the disk is busy goes at once if something waits for it, and lingers if nothing does', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const batches: string[][] = [];
    let disk = Promise.withResolvers<undefined>();
    const commits = new GroupCommit<string, string>(async (items) => {
      batches.push([...items]);
      await disk.promise;
      return items;
    }, 50);
    const first = commits.add('one');
    await vi.waitUntil(() => batches.length === 1);
    const later = commits.add('two', 'soon');
    disk.resolve(undefined);
    await first;
    await vi.advanceTimersByTimeAsync(49);
    expect(batches).toEqual([['one']]);
    await vi.advanceTimersByTimeAsync(1);
    await later;
    disk = Promise.withResolvers();
    const third = commits.add('three');
    await vi.waitUntil(() => batches.length === 3);
    const [fourth, fifth] = [commits.add('four', 'soon'), commits.add('five')];
    disk.resolve(undefined);
    expect(await Promise.all([third, fourth, fifth])).toEqual(['three', 'four', 'five']);
    expect(batches).toEqual([['one'], ['two'], ['three'], ['four', 'five']]);
  } finally {
    vi.useRealTimers();
  }
});

test('whoever waits until nothing is left does not wait for what lingers', async () => {
  const { commits, batches } = collecting(3_600_000);
  const settled = commits.add('one', 'soon');
  await commits.idle();
  expect(batches).toEqual([['one']]);
  expect(await settled).toBe('one!');
});

test('a batch that fails is thrown to each of its callers, and the next one goes out', async () => {
  let broken = true;
  const commits = new GroupCommit<string, string>((items) =>
    broken ? Promise.reject(new Error('the disk is full')) : Promise.resolve(items),
  );
  const settled = await Promise.allSettled([commits.add('one', 'soon'), commits.add('two')]);
  expect(settled.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  broken = false;
  expect(await commits.add('three')).toBe('three');
});
