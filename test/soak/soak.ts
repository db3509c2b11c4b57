/**
 * `npm run soak -- NAME [MINUTES]`: the same load for a long time. Prints memory as it goes; its last line is one JSON
 * object, and it fails where something is left over or memory grows.
 */

/** What a soak found: its figures, and what is wrong with them. */
export interface Found {
  figures: Record<string, unknown>;
  faults: string[];
}

/** @param minutes of load; undefined is the soak's own measure */
export type Soak = (minutes: number | undefined, say: (line: string) => void) => Promise<Found>;

const soaks: Record<string, () => Promise<Soak>> = {
  sessions: async () => (await import('./sessions.ts')).run,
  media: async () => (await import('./media.ts')).run,
  sip: async () => (await import('./sip.ts')).run,
  calls: async () => (await import('./calls.ts')).run,
};

const load = soaks[process.argv[2] ?? ''];
const minutes = process.argv[3] === undefined ? undefined : Number(process.argv[3]);
if (load === undefined || (minutes !== undefined && !(minutes > 0))) {
  console.error(`usage: npm run soak -- ${Object.keys(soaks).join(' | ')} [MINUTES]`);
  process.exitCode = 2;
} else {
  const { figures, faults } = await (await load())(minutes, (line) => console.error(line));
  for (const fault of faults) console.error(fault);
  console.log(JSON.stringify(figures));
  if (faults.length > 0) process.exitCode = 1;
}
