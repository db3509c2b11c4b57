/** Reads the law packs that ship, and lays a site's own over them: it may fill in and tighten, never loosen. */
import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfigInvalid, loadYaml, type LoadedConfig } from '../../config/load.ts';
import { consentMode } from '../../config/schema/campaign.ts';
import {
  overridesFileSchema,
  packFileSchema,
  switchedOff,
  type LawPack,
  type PackOverride,
} from './packs.ts';
import { transferTableSchema, type TransferTable } from './transfers.ts';

/** All law that there is, as read at start. */
export interface LawBook {
  packs: readonly LawPack[];
  transfers: TransferTable;
  /** Days that a text past its review date still carries new campaigns. */
  graceDays: number;
  gates: 'warn' | 'enforce';
}

export interface LawSettings {
  /** By default what ships, `config/law`. */
  directory?: string;
  /** A site's overlay file. */
  overrides?: string | undefined;
  graceDays?: number;
  gates?: LawBook['gates'];
}

const transfersFile = 'transfers.yaml';

/** @throws ConfigInvalid with a line for each problem */
export async function loadLaw({
  directory = fileURLToPath(new URL('../../config/law', import.meta.url)),
  overrides,
  graceDays = 90,
  gates = 'warn',
}: LawSettings = {}): Promise<LawBook> {
  const shipped = await loadPacks(directory);
  const transfers = await loadYaml(join(directory, transfersFile), transferTableSchema);
  const packs = overrides === undefined ? shipped : await overlaid(shipped, overrides);
  return { packs, transfers, graceDays, gates };
}

/** The law of a configuration: what ships, under its settings and its own overlay. @throws ConfigInvalid */
export function lawOf({ config, directory }: Pick<LoadedConfig, 'config' | 'directory'>): Promise<LawBook> {
  const { overrides, ...settings } = config.law;
  return loadLaw({
    ...settings,
    overrides: overrides === undefined ? undefined : resolve(directory, overrides),
  });
}

/** Packs that cannot be relied on yet, and why: a line each, for the log and for `tacet check`. */
export function switchedOffPacks({ packs }: Pick<LawBook, 'packs'>): string[] {
  return packs.map(switchedOff).filter((why) => why !== undefined);
}

async function loadPacks(directory: string): Promise<LawPack[]> {
  const files = (await readdir(directory)).filter((name) => name.endsWith('.yaml') && name !== transfersFile);
  const packs: LawPack[] = [];
  for (const name of files.toSorted()) {
    const file = join(directory, name);
    addPacks(packs, (await loadYaml(file, packFileSchema)).packs, file);
  }
  return packs;
}

function addPacks(packs: LawPack[], more: readonly LawPack[], file: string): void {
  for (const pack of more) {
    if (packs.some((other) => other.pack === pack.pack)) {
      throw new ConfigInvalid(file, [`the pack "${pack.pack}" is given twice`]);
    }
    packs.push(pack);
  }
}

async function overlaid(shipped: readonly LawPack[], file: string): Promise<LawPack[]> {
  const { overrides, packs: own } = await loadYaml(file, overridesFileSchema);
  const problems: string[] = [];
  const packs = [...shipped];
  for (const [index, override] of overrides.entries()) {
    const at = packs.findIndex((pack) => pack.pack === override.pack);
    const pack = packs[at];
    if (pack === undefined) {
      problems.push(`overrides[${index}].pack: there is no pack "${override.pack}"`);
      continue;
    }
    problems.push(...loosened(pack, override).map((why) => `overrides[${index}]: ${why}`));
    packs[at] = overlay(pack, override);
  }
  if (problems.length > 0) throw new ConfigInvalid(file, problems);
  addPacks(packs, own, file);
  return packs;
}

/** A pack as counsel left it. */
export function overlay(pack: LawPack, override: PackOverride): LawPack {
  const { pack: _name, as_of: overlayOn, reference, ...given } = override;
  const keep = given.keep_max_days ?? given.keep_max_months;
  const filled = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  return {
    ...pack,
    ...filled,
    counsel: pack.counsel.filter((value) => (value === 'keep_max' ? keep : given[value]) === undefined),
    overlay: overlayOn,
    sources: [
      ...pack.sources,
      {
        fact: `opinion of ${override.signed_by}, ${overlayOn}`,
        source: reference,
        confidence: 'known',
        values: Object.keys(filled),
      },
    ],
  };
}

/** Values of an override that would ask less than the pack does. What the pack leaves to counsel cannot be loosened. */
function loosened(pack: LawPack, override: PackOverride): string[] {
  const open = (value: LawPack['counsel'][number]): boolean =>
    pack.status === 'off' || pack.counsel.includes(value);
  const found: string[] = [];
  const say = (key: string, from: unknown, to: unknown): unknown =>
    found.push(
      `${key} ${String(to)} asks less than ${pack.pack} (${String(from)}): an overlay may only fill in and tighten`,
    );
  const rank = (mode: LawPack['mode']): number => consentMode.options.indexOf(mode);
  if (override.mode !== undefined && !open('mode') && rank(override.mode) < rank(pack.mode)) {
    say('mode', pack.mode, override.mode);
  }
  for (const key of ['rate_cap', 'keep_max_days', 'keep_max_months'] as const) {
    const [from, to] = [pack[key], override[key]];
    if (from === undefined || to === undefined || to <= from) continue;
    if (!open(key === 'rate_cap' ? key : 'keep_max')) say(key, from, to);
  }
  for (const key of ['keep_min_days', 'keep_min_months'] as const) {
    const [from, to] = [pack[key], override[key]];
    if (from !== undefined && to !== undefined && to < from) say(key, from, to);
  }
  return found;
}
