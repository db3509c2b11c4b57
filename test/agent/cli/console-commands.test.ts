/** The commands run in this process, against an agent of their own: what they print and what they throw is what a person sees. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { agents } from '../../../agent/cli/agents-command.ts';
import { calls } from '../../../agent/cli/calls-command.ts';
import { campaigns } from '../../../agent/cli/campaigns-command.ts';
import { objections } from '../../../agent/cli/objections-command.ts';
import { token } from '../../../agent/cli/token-command.ts';
import { messageOf } from '../../../config/errors.ts';
import { prepareSite } from '../../calls/tacet-under-test.ts';
import { freePort } from '../../peers/free-port.ts';

interface Said {
  status: number;
  out: string;
  errors: string;
}

const commands: Record<string, (words: string[]) => Promise<number>> = {
  agents,
  calls,
  campaigns,
  objections,
  token,
};

/** As `tacet` itself would: an error of ours is a line and status 1. */
async function tacet([name, ...words]: string[], tokenFile?: string): Promise<Said> {
  const out = vi.spyOn(console, 'log').mockImplementation(() => undefined);
  const errors = vi.spyOn(console, 'error').mockImplementation(() => undefined);
  const said = (spy: typeof out): string => spy.mock.calls.flat().join('\n');
  try {
    const by = tokenFile === undefined ? [] : ['--token-file', tokenFile];
    const status = await commands[name!]!([...words, ...by]);
    return { status, out: said(out), errors: said(errors) };
  } catch (error) {
    return { status: 1, out: said(out), errors: messageOf(error) };
  } finally {
    out.mockRestore();
    errors.mockRestore();
  }
}

test('a supervisor, a second person and the data-protection officer at the command line', async () => {
  const port = await freePort();
  // 20 % in the file, so that there is something to raise.
  const campaign = { rate: 0.2, legalText: undefined };
  await using site = await prepareSite({ config: { console: { port } }, campaign });
  await using running = await site.start();
  expect(running.console?.port).toBe(port);
  const config = ['--config', site.configFile];
  const tokenOf = async (person: string, ...scopes: string[]): Promise<string> => {
    const words = scopes.flatMap((scope) => ['--scope', scope]);
    const { out } = await tacet(['token', 'create', '--person', person, ...words, ...config]);
    await writeFile(
      join(site.folder, person),
      `${out}
`,
      { mode: 0o600 },
    );
    return join(site.folder, person);
  };
  // One after the other: they write the same file.
  const anna = await tokenOf('anna', 'read', 'campaigns:write', 'calls:control');
  const bruno = await tokenOf('bruno', 'read', 'campaigns:approve');
  const dpo = await tokenOf('dpo', 'objections');

  expect((await tacet(['campaigns', 'list', ...config], anna)).out).toBe('support-fr  20 %  version 0');
  const set = await tacet(['campaigns', 'set-rate', 'support-fr', '0.3', '--version', '0', ...config], anna);
  expect([set.out, set.status]).toEqual(['support-fr  30 %  version 1', 0]);

  const tooMuch = await tacet(['campaigns', 'set-rate', 'support-fr', '0.5', ...config], anna);
  expect([tooMuch.status, tooMuch.errors]).toEqual([1, expect.stringContaining('propose it')]);
  const reasons = ['--justification', 'a new product', '--reference', 'DPIA-7', '--until', '2099-01-01'];
  const proposed = await tacet(['campaigns', 'propose', 'support-fr', '0.5', ...reasons, ...config], anna);
  const [id] = proposed.out.split(' ');
  expect(proposed.out).toContain('proposed  support-fr at 50 %');
  const alone = await tacet(['campaigns', 'approve', id!, ...config], anna);
  expect([alone.status, alone.errors]).toEqual([1, expect.stringContaining('campaigns:approve')]);
  expect((await tacet(['campaigns', 'approve', id!, ...config], bruno)).out).toContain('decided by bruno');

  const why = ['--reason', 'an incident'];
  const stopped = await tacet(
    ['campaigns', 'stop', '--everything', ...why, '--minutes', '5', ...config],
    anna,
  );
  expect((await tacet(['campaigns', 'show', 'support-fr', ...config], anna)).out).toMatch(/50 %.*stopped/u);
  await tacet(['campaigns', 'resume', stopped.out.split(' ')[0]!, ...config], anna);
  const history = await tacet(['campaigns', 'history', 'support-fr', '--json', ...config], anna);
  const { changes } = JSON.parse(history.out) as { changes: { deed: { kind: string } }[] };
  expect(changes.map(({ deed }) => deed.kind)).toEqual([
    'campaign.set',
    'raise.proposed',
    'raise.approved',
    'stopped',
  ]);

  expect((await tacet(['agents', 'set', '4711', '--protected', ...config], anna)).out).toBe(
    '4711  protected',
  );
  const number = '+33612345678';
  expect((await tacet(['objections', 'check', number, ...config], dpo)).out).toBe('no objection');
  expect((await tacet(['objections', 'add', number, ...config], dpo)).out).toBe('objection added');
  expect((await tacet(['objections', 'check', number, ...config], dpo)).out).toBe('objects: not recorded');

  expect((await tacet(['calls', 'list', ...config], anna)).out).toBe('');
  const nobody = await tacet(['calls', 'pause', 'none', ...why, ...config], anna);
  expect([nobody.status, nobody.errors]).toEqual([1, 'there is no call none in progress here']);
  expect((await tacet(['campaigns', 'dance', ...config], anna)).status).toBe(2);
  const elsewhere = await tacet(['calls', 'list', '--url', 'http://127.0.0.1:1'], anna);
  expect([elsewhere.status, elsewhere.errors]).toEqual([1, expect.stringContaining('cannot be reached')]);
});
