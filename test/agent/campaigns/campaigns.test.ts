import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Campaigns, type InviteFacts } from '../../../agent/campaigns/campaigns.ts';
import { prefixesOf } from '../../../agent/campaigns/range.ts';
import { normaliseNumber } from '../../../config/number.ts';
import { campaignSchema, type Campaign } from '../../../config/schema.ts';

function campaign(name: string, match: object, direction = 'inbound'): Campaign {
  return campaignSchema.parse({ name, direction, match, purpose: 'training', controller: 'Exemple' });
}

function invite(facts: Partial<InviteFacts> & { headers?: Record<string, string> } = {}): InviteFacts {
  return {
    direction: 'inbound',
    called: '+33123456789',
    caller: '+33600000001',
    trunk: 'carrier',
    header: (name) => facts.headers?.[name.toLowerCase()],
    ...facts,
  };
}

describe('a call finds its campaign', () => {
  test.each([
    ['+33123456789', '+33123456789'],
    ['0033 1 23 45 67 89', '+33123456789'],
    ['+33 (1) 23.45-67/89', '+33123456789'],
    ['sip:+33123456789@192.0.2.1:5060;user=phone', '+33123456789'],
    ['tel:+33-1-23456789;ext=5', '+33123456789'],
    ['+33123456789;npdi=yes', '+33123456789'],
    ['*31#0123', '*31#0123'],
    ['000', '000'],
    ['Reception.Desk', 'reception.desk'],
    ['', ''],
  ])('%s is compared as %s', (written, normal) => {
    expect(normaliseNumber(written)).toBe(normal);
  });

  test('an exact number before the longest prefix, that before a shorter one, that before header or trunk alone', () => {
    const layers = [
      campaign('trunk', { trunk: 'carrier' }),
      campaign('short', { called: ['+33*'] }),
      campaign('long', { called: ['+331234*'] }),
      campaign('exact', { called: ['+33 1 23 45 67 89'] }),
    ];
    for (let size = layers.length; size > 0; size -= 1) {
      const winner = layers[size - 1]?.name;
      expect(new Campaigns(layers.slice(0, size)).match(invite())?.name).toBe(winner);
      expect(new Campaigns(layers.slice(0, size).toReversed()).match(invite())?.name).toBe(winner);
    }
  });

  test('a range takes its numbers only, before a prefix and after an exact number; the smaller range first', () => {
    const campaigns = new Campaigns([
      campaign('prefix', { called: ['+3312345*'] }),
      campaign('wide', { called: ['+33123450000..+33123459999'] }),
      campaign('narrow', { called: ['+33 1 23 45 67 80..+33 1 23 45 68 05'] }),
      campaign('exact', { called: ['+33123456789'] }),
    ]);
    const found = (called: string): string | undefined => campaigns.match(invite({ called }))?.name;
    expect(found('+33123456789')).toBe('exact');
    expect(found('+33123456780')).toBe('narrow');
    expect(found('+33123456805')).toBe('narrow');
    expect(found('+33123456806')).toBe('wide');
    expect(found('+33123456779')).toBe('wide');
    expect(found('+331234567890')).toBe('prefix');
    expect(found('+33123460000')).toBeUndefined();
  });

  test('a campaign claims nothing outside its times, and another then can', () => {
    const office = {
      called: ['+33*'],
      times: [
        { days: ['mon', 'tue', 'wed', 'thu', 'fri'], from: '09:00', to: '18:00', timeZone: 'Europe/Paris' },
      ],
    };
    let now = new Date();
    const campaigns = new Campaigns(
      [campaign('always', { called: ['+33*'] }), campaign('office', office)],
      () => now,
    );
    const at = (instant: string): string | undefined => {
      now = new Date(instant);
      return campaigns.match(invite())?.name;
    };
    // Thursday; Paris is an hour ahead of UTC in winter, two in summer.
    expect(at('2026-11-26T08:00:00Z')).toBe('office');
    expect(at('2026-11-26T07:59:59Z')).toBe('always');
    expect(at('2026-11-26T16:59:59Z')).toBe('office');
    expect(at('2026-11-26T17:00:00Z')).toBe('always');
    expect(at('2026-07-23T07:00:00Z')).toBe('office');
    expect(at('2026-11-28T10:00:00Z')).toBe('always');
  });

  test('a window over midnight belongs to the day on which it begins', () => {
    const night = { called: ['*'], times: [{ days: ['fri'], from: '22:00', to: '06:00', timeZone: 'UTC' }] };
    const open = (instant: string): boolean =>
      new Campaigns([campaign('night', night)], () => new Date(instant)).match(invite()) !== undefined;
    expect(open('2026-11-27T22:00:00Z')).toBe(true);
    expect(open('2026-11-28T05:59:00Z')).toBe(true);
    expect(open('2026-11-28T06:00:00Z')).toBe(false);
    expect(open('2026-11-27T05:00:00Z')).toBe(false);
  });

  test('a thousand campaigns are told apart without looking at each', () => {
    const many = Array.from({ length: 1_000 }, (_, index) => {
      const digits = String(index).padStart(3, '0');
      return campaign(`c${digits}`, {
        called: [`+331${digits}00000..+331${digits}49999`, `+332${digits}*`, `+3330000${digits}`],
      });
    });
    const campaigns = new Campaigns(many);
    for (const digits of ['000', '417', '999']) {
      for (const called of [`+331${digits}12345`, `+332${digits}1`, `+3330000${digits}`]) {
        expect(campaigns.match(invite({ called }))?.name).toBe(`c${digits}`);
      }
      expect(campaigns.match(invite({ called: `+331${digits}50000` }))).toBeUndefined();
    }
  });

  test('the beginnings of a range cover exactly its numbers', () => {
    const bounds = fc.tuple(fc.integer({ min: 0, max: 9_999 }), fc.integer({ min: 0, max: 9_999 }));
    fc.assert(
      fc.property(bounds, fc.integer({ min: 0, max: 9_999 }), (ends, number) => {
        const [low, high] = [Math.min(...ends), Math.max(...ends)];
        const written = (value: number): string => String(value).padStart(4, '0');
        const prefixes = prefixesOf({ sign: '+', from: written(low), to: written(high) });
        const fitting = prefixes.filter((prefix) => `+${written(number)}`.startsWith(prefix));
        expect(fitting).toHaveLength(low <= number && number <= high ? 1 : 0);
        expect(prefixes.length).toBeLessThanOrEqual(18 * 4);
      }),
    );
  });

  test('a tie goes to the campaign that asks for more, then to the first in the file', () => {
    const plain = campaign('plain', { called: ['+331*'] });
    const narrower = campaign('narrower', { called: ['+331*'], trunk: 'carrier' });
    expect(new Campaigns([plain, narrower]).match(invite())?.name).toBe('narrower');
    expect(new Campaigns([plain, campaign('second', { called: ['+331*'] })]).match(invite())?.name).toBe(
      'plain',
    );
  });

  test('everything that is given must match', () => {
    const campaigns = new Campaigns([
      campaign('vip', {
        called: ['+33123456789'],
        caller: ['+336*'],
        header: { name: 'X-Queue', value: 'vip' },
      }),
    ]);
    expect(campaigns.match(invite({ headers: { 'x-queue': 'vip' } }))?.name).toBe('vip');
    expect(campaigns.match(invite({ headers: { 'x-queue': 'other' } }))).toBeUndefined();
    expect(campaigns.match(invite())).toBeUndefined();
    expect(campaigns.match(invite({ caller: '+4912345', headers: { 'x-queue': 'vip' } }))).toBeUndefined();
  });

  test('a campaign sees calls of its own direction only', () => {
    const campaigns = new Campaigns([campaign('out', { caller: ['+336*'] }, 'outbound')]);
    expect(campaigns.match(invite())).toBeUndefined();
    expect(campaigns.match(invite({ direction: 'outbound' }))?.name).toBe('out');
  });

  test('a star alone takes every number', () => {
    expect(new Campaigns([campaign('all', { called: ['*'] })]).match(invite({ called: '' }))?.name).toBe(
      'all',
    );
  });

  test('the index finds what a walk through the whole file finds', () => {
    const digits = fc.string({ unit: fc.constantFrom('1', '2'), minLength: 1, maxLength: 3 });
    const pattern = fc.tuple(digits, fc.constantFrom('', '*')).map((parts) => parts.join(''));
    const list = fc.option(fc.array(pattern, { minLength: 1, maxLength: 2 }), { nil: undefined });
    const match = fc
      .record({ called: list, caller: list, trunk: fc.constantFrom(undefined, 'carrier', 'other') })
      .filter((each) => Object.values(each).some((part) => part !== undefined));
    fc.assert(
      fc.property(fc.array(match, { maxLength: 6 }), digits, digits, (matches, called, caller) => {
        const all = matches.map((each, index) => campaign(`c${index}`, each));
        const facts = invite({ called, caller });
        const found = new Campaigns(all).match(facts);
        const alone = all.filter((each) => new Campaigns([each]).match(facts) !== undefined);
        const fits = (patterns: string[] | undefined, number: string): boolean =>
          patterns?.some((each) =>
            each.endsWith('*') ? number.startsWith(each.slice(0, -1)) : number === each,
          ) ?? true;
        const walked = all.filter(
          ({ match: { called: calls, caller: callers, trunk } }) =>
            fits(calls, called) && fits(callers, caller) && trunk !== 'other',
        );
        expect(alone).toEqual(walked);
        expect(found === undefined).toBe(walked.length === 0);
        if (found === undefined) return;
        for (const rival of walked) {
          const pair = all.filter((each) => each === found || each === rival);
          expect(new Campaigns(pair).match(facts)).toBe(found);
        }
      }),
    );
  });
});
