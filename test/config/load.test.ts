import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ConfigInvalid, loadConfig } from '../../config/load.ts';

const minimal = `
campaigns: campaigns.yaml
trunks: [{ name: carrier, sources: [192.0.2.1], uri: 'sip:192.0.2.1', routes: [pbx] }]
pbxs: [{ name: pbx, sources: [192.0.2.2], uri: 'sip:192.0.2.2', routes: [carrier] }]
`;
const campaign = `
  - name: support
    direction: inbound
    match: { called: ['+33123456789'] }
    purpose: training
    controller: Exemple
`;

describe('loading a configuration', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tacet-load-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  async function problems(config: string, campaigns = `campaigns:${campaign}`): Promise<string[]> {
    await writeFile(join(directory, 'tacet.yaml'), config);
    await writeFile(join(directory, 'campaigns.yaml'), campaigns);
    try {
      await loadConfig(join(directory, 'tacet.yaml'));
      return [];
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigInvalid);
      return [...(error as ConfigInvalid).problems];
    }
  }

  test("a campaign counts by its own time zone, or by the site's", async () => {
    const own = campaign
      .replace('support', 'night')
      .replace('direction', 'timeZone: America/New_York\n    direction');
    const there = (zone: string): Promise<string[]> =>
      problems(`${minimal}\n${zone}`, `campaigns:${campaign}${own}`);
    const zones = async (): Promise<unknown[]> =>
      (await loadConfig(join(directory, 'tacet.yaml'))).campaigns.map(({ timeZone }) => timeZone);
    expect(await there('')).toEqual([]);
    expect(await zones()).toEqual(['UTC', 'America/New_York']);
    expect(await there('timeZone: Europe/Paris')).toEqual([]);
    expect(await zones()).toEqual(['Europe/Paris', 'America/New_York']);
    expect(await there('timeZone: Mars/Base')).toEqual([
      expect.stringContaining('timeZone: "Mars/Base" is not allowed') as string,
    ]);
  });

  test('fills in the defaults and finds the campaigns beside it', async () => {
    await writeFile(join(directory, 'tacet.yaml'), `${minimal}\nmedia:\n  # all defaults\n`);
    await writeFile(join(directory, 'campaigns.yaml'), `campaigns:${campaign}`);
    const { config, campaigns } = await loadConfig(join(directory, 'tacet.yaml'));
    expect(config.http).toEqual({ address: '127.0.0.1', port: 9464 });
    expect(config.media.ports).toEqual({ min: 20_000, max: 29_999 });
    expect(campaigns[0]).toMatchObject({
      name: 'support',
      rate: 0.3,
      announcement: { prompt: 'fr-object', graceMs: 1_000 },
    });
  });

  test.each([
    ['rate: 1.3', 'campaigns[0].rate: 1.3 is not allowed; a number from 0 to 1'],
    ['rate: much', 'campaigns[0].rate: "much" is not allowed; a number from 0 to 1'],
    ['retentionDays: 0.5', 'campaigns[0].retentionDays: 0.5 is not allowed; a whole number from 1 to 1827'],
    [
      'market: France',
      'campaigns[0].market: "France" is not allowed; an ISO 3166 code, e.g. "FR", "GB", or "US-TX" for a state that is known',
    ],
    [
      'market: UK',
      'campaigns[0].market: "UK" is not allowed; an ISO 3166 code, e.g. "FR", "GB", or "US-TX" for a state that is known',
    ],
    [
      'rate: 1',
      'campaigns[0].rate: 1 is not allowed; recording every conversation needs a law that orders it: class "mandated", or name the text in legalText',
    ],
    [
      'rate: 0.5',
      'campaigns[0].necessity: is missing; a rate above 0.3 needs a reason: why so many, and what else was considered',
    ],
    [
      'class: complaint',
      'campaigns[0].trigger: is missing; complaints are recorded on demand only, never sampled',
    ],
    [
      'class: contract-proof',
      'campaigns[0].trigger: is missing; class "contract-proof" is recorded on demand only, never sampled',
    ],
    ["consentKeys: ['2']", 'campaigns[0].consentKeys: ["2"] is not allowed; the key 2 is a refusal already'],
    [
      'whenUnrecordable: refuse',
      'campaigns[0].whenUnrecordable: "refuse" is not allowed; "refuse" goes with class "mandated" only: elsewhere the call comes first',
    ],
    [
      'duty: investment',
      'campaigns[0].duty: "investment" is not allowed; it goes with class "mandated" only',
    ],
    [
      'announcement: { translations: [{ prompt: en-object }] }',
      'campaigns[0].announcement.translations[0]: {"prompt":"en-object"} is not allowed; a translation needs countries or a header',
    ],
    [
      'class: fun',
      'campaigns[0].class: "fun" is not allowed; one of "quality", "training", "complaint", "contract-proof", "mandated"',
    ],
    [
      'refusalVoice: recogniser',
      'campaigns[0].refusalVoice: "recogniser" is not allowed; no recogniser of the site understands fr',
    ],
    [
      'refusalVoice: recogniser\n    announcement: { prompt: ./own.wav }',
      'campaigns[0].announcement.language: is missing; a recogniser must know in which language a refusal is said: one of fr, en, es, ar',
    ],
    ['raet: 0.2', 'campaigns[0].raet: there is no such key; did you mean "rate"?'],
    [
      "refusalKeys: ['x']",
      'campaigns[0].refusalKeys[0]: "x" is not allowed; one of "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "#", "A", "B", "C", "D"',
    ],
  ])('%s is named with what is allowed', async (line, problem) => {
    expect(await problems(minimal, `campaigns:${campaign}    ${line}\n`)).toEqual([problem]);
  });

  test('a mandated campaign names its duty, its text and its basis', async () => {
    expect(await problems(minimal, `campaigns:${campaign}    class: mandated\n`)).toEqual([
      'campaigns[0].legalText: is missing; class "mandated" needs the text that orders recording',
      'campaigns[0].duty: is missing; one of insurance-cold-call, investment',
      'campaigns[0].legalBasis: is missing; class "mandated" rests on "legal-obligation"',
      'campaigns[0].purpose: "training" is not allowed; purpose "legal-obligation" and class "mandated" go together',
    ]);
  });

  test.each([
    ["called: ['+3312..+331']", 'called[0]: "+3312..+331" is not allowed'],
    ["called: ['+3319..+3312']", 'called[0]: "+3319..+3312" is not allowed'],
    ['trunk: carrier, times: [{ timeZone: Mars/Base }]', 'times[0].timeZone: "Mars/Base" is not allowed'],
    ['trunk: carrier, times: [{ from: 9h, timeZone: UTC }]', 'times[0].from: "9h" is not allowed'],
    [
      'times: [{ timeZone: UTC }]',
      'match: {"times":[{"timeZone":"UTC"}]} is not allowed; at least one of called',
    ],
  ])('match { %s } is refused', async (match, problem) => {
    const found = await problems(
      minimal,
      `campaigns:${campaign.replace(/match:.*/u, `match: { ${match} }`)}`,
    );
    expect(found).toEqual([expect.stringContaining(problem)]);
  });

  test('each of several mistakes has its line', async () => {
    const wrong = minimal
      .replace('192.0.2.1]', 'nowhere]')
      .replace('routes: [pbx]', 'routes: [pbx], prots: [1]');
    expect(await problems(`${wrong}\nsip: { answerTimeoutSeconds: 0 }\nunheard-of: 1`)).toEqual([
      expect.stringContaining('sip.answerTimeoutSeconds: 0 is not allowed; a whole number from 1 to 600'),
      'trunks[0].sources[0]: "nowhere" is not allowed; an IP address or a CIDR block',
      'trunks[0].prots: there is no such key; did you mean "ports"?',
      expect.stringMatching(/^unheard-of: there is no such key; known here: site, dataDir/u),
    ]);
  });

  test.each([
    ['', 'trunks[0].listener: "outside" is not allowed; no such listener in sip.listen; known: default'],
    ['sip: { listen: [{ name: outside }] }', undefined],
    [
      'sip: { listen: [{ name: outside }], drachtio: { host: 127.0.0.1, secret: s } }',
      'trunks[0].listener: "outside" is not allowed; an external drachtio-server chooses its own way out; leave this out',
    ],
  ])('a peer on listener "outside" with "%s"', async (sip, problem) => {
    const asked = minimal.replace('routes: [pbx]', 'routes: [pbx], listener: outside');
    expect(await problems(`${asked}\n${sip}`)).toEqual(problem === undefined ? [] : [problem]);
  });

  test('what is missing is said to be missing', async () => {
    expect(await problems(minimal, `campaigns:${campaign.replace('    controller: Exemple\n', '')}`)).toEqual(
      ['campaigns[0].controller: is missing; text that is not empty'],
    );
    expect(await problems(minimal.replace(/^trunks.*$/mu, ''))).toEqual([
      expect.stringMatching(/^trunks: is missing; a list/u),
    ]);
  });

  test('a route to a peer that is not there, and two peers of one name', async () => {
    expect(await problems(minimal.replace('routes: [pbx]', 'routes: [pbx-x]'))).toEqual([
      'trunks[0].routes[0]: "pbx-x" is not allowed; no such peer among pbxs; known: pbx',
    ]);
    expect(await problems(minimal.replace('name: pbx,', 'name: carrier,'))).toContain(
      'pbxs[0].name: "carrier" is not allowed; the name "carrier" is taken by another peer',
    );
  });

  test('a campaign that matches on a peer that is not there', async () => {
    const match = 'match: { trunk: carier }';
    expect(await problems(minimal, `campaigns:${campaign.replace(/match:.*/u, match)}`)).toEqual([
      expect.stringMatching(
        /^campaigns\[0\]\.match\.trunk: "carier" is not allowed; a peer of .*: carrier, pbx$/u,
      ),
    ]);
  });

  test('a wrong secret is not repeated', async () => {
    const [problem] = await problems(`${minimal}\nstore: { url: 'wss://a', token: hunter2 }`);
    expect(problem).toBe(
      'store.token: what stands there (not shown) is not allowed; text of at least 16 characters',
    );
  });

  test('broken YAML is named with its line', async () => {
    expect(await problems(`${minimal}\nsite: [a`)).toEqual([expect.stringMatching(/^line 6, column \d+: /u)]);
    expect(await problems(`${minimal}\nsite: a\nsite: b`)).toEqual([
      expect.stringMatching(/^line 7, column 1: Map keys must be unique/u),
    ]);
  });

  test('a file that is not there is one line', async () => {
    const missing = join(directory, 'tacet.yaml');
    await expect(loadConfig(missing)).rejects.toThrow(`${missing}: there is no such file`);
    await writeFile(missing, minimal);
    await expect(loadConfig(missing)).rejects.toThrow(
      `${join(directory, 'campaigns.yaml')}: there is no such file`,
    );
  });

  test.each([
    [
      'groups: [{ name: farm, members: [{ peer: pbx-x }] }]',
      'groups[0].members[0].peer: "pbx-x" is not allowed; no such peer; known: carrier, pbx',
    ],
    [
      'groups: [{ name: farm, members: [{ peer: pbx }, { peer: carrier }] }]',
      'groups[0].members[1].peer: "carrier" is not allowed; all members are trunks, or all are PBXs',
    ],
    [
      'groups: [{ name: pbx, members: [{ peer: pbx }] }]',
      'groups[0].name: "pbx" is not allowed; the name "pbx" is taken by another peer',
    ],
    [
      'routing: { emergency: { routes: [pbx] } }',
      'routing.emergency.routes[0]: "pbx" is not allowed; no such peer among trunks; known: carrier',
    ],
    [
      'routing: { headers: { pass: [Via] } }',
      'routing.headers.pass[0]: "Via" is not allowed; a header that is handed on: not one that belongs to one leg alone (Via, Contact, Require, ...)',
    ],
  ])('%s is refused', async (line, problem) => {
    expect(await problems(`${minimal}\n${line}`)).toEqual([problem]);
  });

  test('a password is either here or in a file, and never shown', async () => {
    const [problem, ...others] = await problems(
      minimal.replace(
        'routes: [carrier]',
        'routes: [carrier], auth: { username: u, password: hidden, passwordFile: f }',
      ),
    );
    expect(others).toEqual([]);
    expect(problem).toContain('pbxs[0].auth.password');
    expect(problem).not.toContain('hidden');
  });

  test('an empty file says what it must have', async () => {
    expect(await problems('')).toHaveLength(3);
  });

  test('rtpengine without a server is a mistake', async () => {
    const [problem, ...others] = await problems(`${minimal}\nmedia: { plane: rtpengine }`);
    expect(others).toEqual([]);
    expect(problem).toContain('media.rtpengine');
  });

  test.each(['single-site', 'redis', 'pbx-farm', 'rtpengine'])(
    'the example %s.yaml loads',
    async (example) => {
      const { campaigns } = await loadConfig(
        new URL(`../../config/examples/${example}.yaml`, import.meta.url).pathname,
      );
      expect(campaigns.map((each) => each.name)).toEqual(['support-fr', 'survey-fr']);
    },
  );
});
