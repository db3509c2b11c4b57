/** Reads a configuration and its campaigns from YAML, once, at start: from here on only checked values exist. */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { LineCounter, parseDocument } from 'yaml';
import type { z } from 'zod';
import { allowed, knownKeys, schemaAt } from './describe.ts';
import { messageOf, TacetError } from './errors.ts';
import { nearest } from './nearest.ts';
import { campaignsFileSchema, configSchema, languageOf, type Campaign, type Config } from './schema.ts';

/** A file says something that the schema does not allow. The message has a line for each problem. */
export class ConfigInvalid extends TacetError {
  readonly file: string;
  readonly problems: readonly string[];
  constructor(file: string, problems: readonly string[]) {
    super(problems.map((problem) => `${file}: ${problem}`).join('\n'));
    this.file = file;
    this.problems = problems;
  }
}

export interface LoadedConfig {
  config: Config;
  campaigns: Campaign[];
  /** Folder of the configuration file, absolute: paths in it are relative to this. */
  directory: string;
}

/**
 * Loads a configuration and the campaigns file that it names, relative to itself.
 *
 * @param path of the configuration file
 * @throws ConfigInvalid with a line for each problem: path, value, what is allowed
 */
export async function loadConfig(path: string): Promise<LoadedConfig> {
  const config = await loadYaml(path, configSchema);
  const directory = dirname(resolve(path));
  const campaignsPath = resolve(directory, config.campaigns);
  const file = await loadYaml(campaignsPath, campaignsFileSchema);
  const campaigns = file.campaigns.map((campaign) => ({
    ...campaign,
    timeZone: campaign.timeZone ?? config.timeZone,
  }));
  const peers = [...config.trunks, ...config.pbxs].map((peer) => peer.name);
  const unknownTrunks = campaigns.flatMap(({ match: { trunk } }, index) =>
    trunk === undefined || peers.includes(trunk)
      ? []
      : [
          `campaigns[${index}].match.trunk: "${trunk}" is not allowed; a peer of ${path}: ${peers.join(', ')}`,
        ],
  );
  const problems = [
    ...unknownTrunks,
    ...campaigns.flatMap((campaign, index) => notUnderstood(campaign, index, config)),
  ];
  if (problems.length > 0) throw new ConfigInvalid(campaignsPath, problems);
  return { config, campaigns, directory };
}

/** Languages in which a campaign would have refusals understood, and no speech server does. */
function notUnderstood(campaign: Campaign, index: number, { recognisers }: Config): string[] {
  if (campaign.refusalVoice !== 'recogniser') return [];
  const { announcement } = campaign;
  const understood = recognisers.flatMap(({ languages }) => languages);
  const spoken = [announcement, ...announcement.translations].map((each) => languageOf(each)!);
  const missing = [...new Set(spoken)].filter((language) => !understood.includes(language));
  if (missing.length === 0) return [];
  return [
    `campaigns[${index}].refusalVoice: "recogniser" is not allowed; no recogniser of the site understands ${missing.join(', ')}`,
  ];
}

/**
 * Reads one YAML file and checks it. An empty value (`media:` with nothing below) counts as left out.
 *
 * @throws ConfigInvalid
 */
export async function loadYaml<Output>(path: string, schema: z.ZodType<Output>): Promise<Output> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    throw new ConfigInvalid(path, [
      missing ? 'there is no such file' : `cannot be read: ${messageOf(error)}`,
    ]);
  }
  return parseYaml(path, text, schema);
}

/** @throws ConfigInvalid */
export function parseYaml<Output>(file: string, text: string, schema: z.ZodType<Output>): Output {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  if (document.errors.length > 0) {
    throw new ConfigInvalid(
      file,
      document.errors.map((error) => {
        const { line, col } = lines.linePos(error.pos[0]);
        return `line ${line}, column ${col}: ${error.message}`;
      }),
    );
  }
  const value = withoutEmpty(document.toJS() as unknown);
  const result = schema.safeParse(value ?? {});
  if (result.success) return result.data;
  throw new ConfigInvalid(file, [
    ...new Set(result.error.issues.flatMap((issue) => problemsOf(issue, value, schema))),
  ]);
}

function problemsOf(issue: z.core.$ZodIssue, root: unknown, schema: z.ZodType): string[] {
  const at = schemaAt(schema, issue.path);
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(at);
    return issue.keys.map((key) => {
      const likely = nearest(key, known);
      const hint = likely === undefined ? `known here: ${known.join(', ')}` : `did you mean "${likely}"?`;
      return `${written([...issue.path, key])}: there is no such key; ${hint}`;
    });
  }
  const value = valueAt(root, issue.path);
  const rule = issue.code === 'custom' ? issue.message : at === undefined ? issue.message : allowed(at);
  if (value === undefined) return [`${written(issue.path)}: is missing; ${rule}`];
  return [`${written(issue.path)}: ${shown(value, issue.path)} is not allowed; ${rule}`];
}

/** A path as people write it: `campaigns[0].rate`. */
function written(path: readonly PropertyKey[]): string {
  const text = path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`)).join('');
  return text === '' ? 'the file' : text.replace(/^\./u, '');
}

/** A wrong secret must not end up in a log. */
const secretKeys = ['secret', 'siteSecret', 'token', 'url', 'password'];

function shown(value: unknown, path: readonly PropertyKey[]): string {
  if (secretKeys.includes(String(path.at(-1)))) return 'what stands there (not shown)';
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, step) => (typeof value === 'object' ? (value as Record<PropertyKey, unknown>)[step] : undefined),
    root,
  );
}

/** YAML's empty value is "not there" to us. */
function withoutEmpty(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutEmpty);
  if (typeof value !== 'object') return value;
  if (!value) return undefined;
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, each]) => [key, withoutEmpty(each)] as const)
      .filter(([, each]) => each !== undefined),
  );
}
