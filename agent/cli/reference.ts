/** Prints the configuration reference: every key, its type, default and meaning, from the schema itself. */
import { z } from 'zod';
import { allowed, present, shapeOf } from '../../config/describe.ts';
import { campaignSchema, configSchema } from '../../config/schema.ts';

interface Row {
  key: string;
  type: string;
  standard: string;
  meaning: string;
}

/** The reference of both files as Markdown, to stand in `config/README.md`. */
export function configReference(): string {
  return [
    '### tacet.yaml',
    '',
    table(rowsOf(configSchema, '')),
    '',
    '### campaigns.yaml',
    '',
    'A list under `campaigns:`; each entry:',
    '',
    table(rowsOf(campaignSchema, '')),
    '',
  ].join('\n');
}

function table(rows: Row[]): string {
  const lines = rows.map(({ key, type, standard, meaning }) => [`\`${key}\``, type, standard, meaning]);
  return [['key', 'allowed', 'default', 'meaning'], ['---', '---', '---', '---'], ...lines]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n');
}

function rowsOf(schema: z.core.$ZodType, prefix: string): Row[] {
  const inner = present(schema);
  if (!(inner instanceof z.ZodObject)) return [];
  return Object.entries(shapeOf(inner)).flatMap(([key, each]) => {
    if (each === undefined) return [];
    const path = prefix + key;
    const section = sectionOf(each);
    const row = { key: path, type: typeOf(each), standard: standardOf(each), meaning: meaningOf(each) };
    if (section === undefined) return [row];
    const below = rowsOf(section.schema, `${path}${section.list ? '[]' : ''}.`);
    return row.meaning === '' && row.standard !== 'required' ? below : [row, ...below];
  });
}

/** An object, or a list of them: what has keys of its own. */
function sectionOf(schema: z.core.$ZodType): { schema: z.core.$ZodType; list: boolean } | undefined {
  const inner = present(schema);
  if (inner instanceof z.ZodObject) return { schema: inner, list: false };
  if (inner instanceof z.ZodArray && present(inner.element) instanceof z.ZodObject) {
    return { schema: present(inner.element), list: true };
  }
  return undefined;
}

function typeOf(schema: z.core.$ZodType): string {
  const section = sectionOf(schema);
  if (section === undefined) return allowed(schema);
  return section.list ? 'a list' : 'a section';
}

function standardOf(schema: z.core.$ZodType): string {
  if (schema instanceof z.ZodDefault) return `\`${JSON.stringify(schema.def.defaultValue)}\``;
  return schema instanceof z.ZodOptional || schema instanceof z.ZodPrefault ? '' : 'required';
}

function meaningOf(schema: z.core.$ZodType): string {
  if (!(schema instanceof z.ZodType)) return '';
  const own = schema.description;
  if (own !== undefined) return own;
  return schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault
    ? meaningOf(schema.unwrap())
    : '';
}
