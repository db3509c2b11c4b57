/** Run in a process of its own, as V8's own view of an object needs a flag. */
import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';

function fastAfter(module: string): boolean {
  const code = `await import(${JSON.stringify(module)}); console.log(%HasFastProperties(String.prototype))`;
  const flags = ['--allow-natives-syntax', '--input-type=module', '--eval', code];
  return execFileSync(process.execPath, flags, { encoding: 'utf8' }).trim() === 'true';
}

const ours = (path: string) => new URL(`../../../agent/${path}`, import.meta.url).href;

test('ioredis loaded by itself makes a hash table of String.prototype: without that, what follows proves nothing', () => {
  expect(fastAfter(import.meta.resolve('ioredis'))).toBe(false);
});

test.each(['sampling/ioredis.ts', 'main.ts'])(
  'with %s loaded, methods of strings can be inlined',
  (module) => {
    expect(fastAfter(ours(module))).toBe(true);
  },
);
