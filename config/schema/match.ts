/** How a call finds its campaign: what may stand under `match`. */
import { z } from 'zod';
import { normaliseNumber } from '../number.ts';
import { name, timeZone } from './values.ts';

/** `+33123456789`, a prefix with a trailing `*`, or a range `+33123450000..+33123459999`. */
const numbersPattern = z
  .string()
  .regex(
    /^\+?[0-9*#A-Za-z._()/ -]*(?:\*|\.\.\+?[0-9 ()/-]+)?$/u,
    'a number, the beginning of one with a trailing "*", e.g. "+331*", or a range, e.g. "+33123450000..+33123459999"',
  )
  .refine((written) => !written.includes('..') || rangeOf(written) !== undefined, {
    error: 'a range needs two numbers of the same length, the smaller one first',
  });

export interface NumberRange {
  /** `+` or nothing. */
  sign: string;
  from: string;
  to: string;
}

/** Both ends of a written range, digits only; undefined when it is none that could hold a number. */
export function rangeOf(written: string): NumberRange | undefined {
  const ends = written.split('..').map((end) => /^(\+?)(\d+)$/u.exec(normaliseNumber(end)));
  const [first, last] = ends;
  if (ends.length !== 2 || !first || !last) return undefined;
  const [, sign = '', from = ''] = first;
  const [, otherSign = '', to = ''] = last;
  return sign === otherSign && from.length === to.length && from <= to ? { sign, from, to } : undefined;
}

const weekdays = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
export type Weekday = (typeof weekdays)[number];

const timeOfDay = z.string().regex(/^(?:[01]\d|2[0-3]):[0-5]\d$|^24:00$/u, 'a time of day, e.g. "09:30"');

const timeWindow = z.strictObject({
  days: z
    .array(z.enum(weekdays))
    .min(1)
    .default([...weekdays])
    .describe('days on which it begins'),
  from: timeOfDay.default('00:00'),
  to: timeOfDay.default('24:00').describe('not included; before `from`: on the next day'),
  timeZone: timeZone.describe('whose clock and calendar count'),
});
export type TimeWindow = z.infer<typeof timeWindow>;

export const match = z
  .strictObject({
    called: z.array(numbersPattern).min(1).optional().describe('called numbers, ranges or prefixes'),
    caller: z.array(numbersPattern).min(1).optional().describe('caller numbers, ranges or prefixes'),
    header: z
      .strictObject({ name: z.string().min(1), value: z.string().min(1) })
      .optional()
      .describe('a SIP header whose value is exactly this'),
    trunk: name.optional().describe('the peer that the call came from'),
    times: z
      .array(timeWindow)
      .min(1)
      .optional()
      .describe('when it runs; one of the windows must be open. Outside them its calls are not its own'),
  })
  .refine(
    ({ called, caller, header, trunk }) => [called, caller, header, trunk].some((part) => part !== undefined),
    {
      error: 'at least one of called, caller, header, trunk; all that are given must match',
    },
  )
  .describe('which calls belong to it: all that is given must match; the most specific campaign wins');
export type Match = z.infer<typeof match>;
