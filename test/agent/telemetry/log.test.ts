import { execFile } from 'node:child_process';
import { Writable } from 'node:stream';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { maskNumbers, openLog } from '../../../agent/telemetry/log.ts';

function logged(write: (log: ReturnType<typeof openLog>) => void): Record<string, unknown>[] {
  const lines: string[] = [];
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString());
      done();
    },
  });
  write(openLog('info', destination));
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

test.each([
  ['call from +33612345678 refused', 'call from +*********78 refused'],
  ['INVITE sip:+33123456789@192.0.2.1:5060', 'INVITE sip:+*********89@192.0.2.1:5060'],
  ['sip:0123456789@pbx', 'sip:********89@pbx'],
  ['+33 6 12 34 56 78', '+** * ** ** ** 78'],
  [
    'call 0b7e9f12-3456-4789-8abc-def012345678 of 192.0.2.1:5060',
    'call 0b7e9f12-3456-4789-8abc-def012345678 of 192.0.2.1:5060',
  ],
  ['sip:192.0.2.10:5060', 'sip:192.0.2.10:5060'],
])('%s is logged as %s', (text, safe) => {
  expect(maskNumbers(text)).toBe(safe);
});

test('no number is in clear, wherever it stands', () => {
  const number = '+33612345678';
  const lines = logged((log) => {
    log.info(
      { caller: '0612345678', detail: `from ${number}`, peer: { uri: `sip:${number}@192.0.2.1` } },
      'call ended',
    );
    log.error({ err: new Error(`no route to ${number}`), list: [number] }, `failed for ${number}`);
  });
  expect(JSON.stringify(lines)).not.toMatch(/612345678/u);
  expect(lines[0]).toMatchObject({
    level: 'info',
    msg: 'call ended',
    caller: '********78',
    detail: 'from +*********78',
  });
  expect(lines[1]).toMatchObject({
    msg: 'failed for +*********78',
    err: { type: 'Error', message: 'no route to +*********78' },
  });
});

test('lines below the level are not written', () => {
  expect(logged((log) => log.debug('hidden'))).toEqual([]);
});

test.each(['process.exit(0)', "process.emitWarning('over')"])(
  'what waits for company is written when the process ends: %s',
  async (ending) => {
    const module = new URL('../../../agent/telemetry/log.ts', import.meta.url).href;
    const program = `import { openLog } from '${module}'; openLog('info').info('last words'); ${ending};`;
    const { stdout } = await promisify(execFile)(process.execPath, [
      '--input-type=module',
      '--eval',
      program,
    ]);
    expect(stdout).toMatch(/"msg":"last words"/u);
  },
);
