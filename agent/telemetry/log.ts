/** The log: pino, JSON, a line an event, facts in fields. Numbers of persons are masked, wherever they stand. */
import { pino, stdSerializers, type DestinationStream, type Logger, type LoggerOptions } from 'pino';
import type { Config } from '../../config/schema.ts';

/** International numbers, and the user part of SIP and tel URIs that are numbers. Ids (UUIDs, hashes) stay readable. */
const numbers = /(?<=\bsips?:)\+?[\d().-]{4,}(?=[@;])|(?<=\btel:)\+?[\d().-]{4,}|\+\d[\d ().-]{4,}\d/giu;
/** Fields that hold a number, whatever it looks like. */
const numberFields = new Set(['caller', 'called', 'callingNumber', 'calledNumber', 'number']);

/** `+33612345678` becomes `+*********78`: enough to tell two calls apart in a test, too little to call back. */
export function maskNumbers(text: string): string {
  return text.replace(numbers, mask);
}

function mask(number: string): string {
  return number.slice(0, -2).replace(/\d/gu, '*') + number.slice(-2);
}

/** A line waits this long for others: a write for each is a system call in the way of calls, and wakes whoever reads the log. */
const lingerMs = 100;
const lingerBytes = 4_096;

/**
 * Opens the log.
 *
 * @param destination by default stdout, written a tenth of a second later at most, and at the process's exit
 */
export function openLog(
  level: Config['logLevel'],
  destination: DestinationStream = pino.destination({
    sync: false,
    minLength: lingerBytes,
    periodicFlush: lingerMs,
  }),
): Logger {
  const options: LoggerOptions = {
    level,
    base: {},
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: {
      level: (name: string) => ({ level: name }),
      log: (fields: object) =>
        Object.fromEntries(
          Object.entries(fields).map(([key, value]) => [key, masked(key, value as unknown)]),
        ),
    },
    hooks: {
      logMethod(this: Logger, words: Parameters<Logger['info']>, method: Logger['info']): void {
        const safe = words.map((word: unknown) => (typeof word === 'string' ? maskNumbers(word) : word));
        method.apply(this, safe as Parameters<Logger['info']>);
      },
    },
    serializers: { err: (error: Error) => error },
  };
  return pino(options, destination);
}

function masked(key: string, value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return numberFields.has(key) ? mask(value) : maskNumbers(value);
  if (value instanceof Error) return masked(key, { ...stdSerializers.err(value) }, depth);
  if (typeof value !== 'object' || !value || depth > 3) return value;
  if (Array.isArray(value)) return value.map((each: unknown) => masked(key, each, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([inner, each]) => [inner, masked(inner, each as unknown, depth + 1)]),
  );
}
