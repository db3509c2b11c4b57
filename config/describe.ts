/** Reads the schema itself: what is allowed at a path, in words. Error messages and the reference page share it. */
import { z } from 'zod';

/** A schema, or the undefined that a path into nowhere gives. */
type Schema = z.core.$ZodType;

/** Takes off what only says "may be left out": the schema of a value that is there. */
export function present(schema: Schema): Schema {
  let inner = schema;
  while (inner instanceof z.ZodOptional || inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault) {
    inner = inner.unwrap();
  }
  return inner;
}

/** The schema that governs the value at a path; undefined where the schema knows no such place. */
export function schemaAt(root: Schema, path: readonly PropertyKey[]): Schema | undefined {
  let schema: Schema = present(root);
  for (const step of path) {
    const next = schema instanceof z.ZodObject ? shapeOf(schema)[String(step)] : elementOf(schema);
    if (next === undefined) return undefined;
    schema = present(next);
  }
  return schema;
}

/** Keys that an object at this place may have; empty when it is no object. */
export function knownKeys(schema: Schema | undefined): string[] {
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

/** The keys of an object and what may stand at each. */
export function shapeOf(schema: z.ZodObject): Partial<Record<string, Schema>> {
  return schema.shape;
}

/** What may stand here, as the end of a sentence: `a number from 0 to 1`, `one of "notice", "object"`. */
export function allowed(schema: Schema): string {
  const inner = present(schema);
  if (inner instanceof z.ZodNumber) return allowedNumber(inner);
  if (inner instanceof z.ZodEnum)
    return `one of ${inner.options.map((each) => JSON.stringify(each)).join(', ')}`;
  if (inner instanceof z.ZodString) return allowedString(inner);
  if (inner instanceof z.ZodUnion) return customMessage(inner) ?? inner.options.map(allowed).join(' or ');
  if (inner instanceof z.ZodArray) return `a list, each ${allowed(inner.element)}`;
  if (inner instanceof z.ZodObject) return `a section with ${knownKeys(inner).join(', ')}`;
  if (inner instanceof z.ZodBoolean) return 'true or false';
  return 'a value of its own kind';
}

function allowedNumber(schema: z.ZodNumber): string {
  const noun = schema.format === 'safeint' ? 'a whole number' : 'a number';
  const [min, max] = [schema.minValue, schema.maxValue].map((limit) =>
    limit === null || Math.abs(limit) >= Number.MAX_SAFE_INTEGER ? undefined : limit,
  );
  if (min !== undefined && max !== undefined) return `${noun} from ${min} to ${max}`;
  if (min !== undefined) return `${noun}, ${min} or more`;
  return max === undefined ? noun : `${noun}, ${max} at most`;
}

function allowedString(schema: z.ZodString): string {
  for (const check of schema.def.checks ?? []) {
    const message = customMessage(check);
    if (message !== undefined) return message;
  }
  const { minLength } = schema;
  if (minLength === null || minLength === 0) return 'text';
  return minLength === 1 ? 'text that is not empty' : `text of at least ${minLength} characters`;
}

/** The words that the schema's author put beside a rule. */
function customMessage(part: { _zod: { def: object } }): string | undefined {
  const { error } = part._zod.def as { error?: z.core.$ZodErrorMap };
  const message = error?.({ code: 'custom', input: undefined, path: [], message: '' });
  return typeof message === 'string' ? message : message?.message;
}

function elementOf(schema: Schema): Schema | undefined {
  return schema instanceof z.ZodArray ? schema.element : undefined;
}
