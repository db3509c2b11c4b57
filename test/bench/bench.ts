/** `npm run bench -- NAME [--json]`: one measurement; its last line is one JSON object with the figures. */
import { parseArgs } from 'node:util';

/** A measurement: tells its progress to `say`, returns its figures. */
export type Bench = (say: (line: string) => void) => Promise<Record<string, unknown>>;

const benches: Record<string, () => Promise<Bench>> = {
  setup: async () => (await import('./setup.ts')).run,
  sip: async () => (await import('./sip.ts')).run,
  sampling: async () => (await import('./sampling.ts')).run,
  relay: async () => (await import('./relay.ts')).run,
  recording: async () => (await import('./recording.ts')).run,
  srtp: async () => (await import('./srtp.ts')).run,
  refusal: async () => (await import('./refusal.ts')).run,
};

const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: 'boolean' } } });
const load = benches[positionals[0] ?? ''];
if (load === undefined) {
  console.error(`usage: npm run bench -- ${Object.keys(benches).join(' | ')} [--json]`);
  process.exitCode = 2;
} else {
  const figures = await (await load())((line) => console.error(line));
  console.log(JSON.stringify(figures, undefined, values.json === true ? undefined : 2));
}
