import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { progressLine, renderOutcomes, type CampaignOutcomes } from '../../../../agent/cli/demo/table.ts';

const support: CampaignOutcomes = {
  campaign: 'support-fr',
  target: 0.3,
  calls: 60,
  conversations: 50,
  recorded: 15,
  refused: 3,
  abandoned: 6,
  busy: 4,
  failed: 0,
};
const sales: CampaignOutcomes = {
  campaign: 'ventes',
  target: 0.05,
  calls: 4,
  conversations: 0,
  recorded: 0,
  refused: 0,
  abandoned: 4,
  busy: 0,
  failed: 0,
};

describe('the table of outcomes', () => {
  it('says for each campaign what was declared and what was achieved', () => {
    expect(renderOutcomes([support, sales])).toBe(
      [
        'campaign    calls  conversations  recorded  refused  abandoned  busy  failed  target  achieved',
        '----------  -----  -------------  --------  -------  ---------  ----  ------  ------  --------',
        'support-fr     60             50        15        3          6     4       0  30.0 %    30.0 %',
        'ventes          4              0         0        0          4     0       0   5.0 %         -',
        '----------  -----  -------------  --------  -------  ---------  ----  ------  ------  --------',
        'all            64             50        15        3         10     4       0            30.0 %',
        '',
      ].join('\n'),
    );
  });

  it('needs no sum for one campaign', () => {
    expect(renderOutcomes([support]).trimEnd().split('\n')).toHaveLength(3);
  });

  it('keeps its columns under their titles whatever the numbers', () => {
    const count = fc.nat(1_000_000);
    const outcomes = fc.record({
      campaign: fc.stringMatching(/^[a-z][a-z0-9-]{0,30}$/u),
      target: fc.double({ min: 0, max: 1, noNaN: true }),
      calls: count,
      conversations: count,
      recorded: count,
      refused: count,
      abandoned: count,
      busy: count,
      failed: count,
    });
    fc.assert(
      fc.property(fc.array(outcomes, { minLength: 1, maxLength: 5 }), (campaigns) => {
        const lengths = renderOutcomes(campaigns)
          .trimEnd()
          .split('\n')
          .map((line) => line.length);
        expect(new Set(lengths).size).toBe(1);
      }),
    );
  });
});

describe('the progress line', () => {
  it('shows how far the calls are', () => {
    expect(progressLine({ done: 30, planned: 60, recorded: 8, refused: 2, elapsedMs: 65_400 })).toBe(
      '[##########..........] 1:05  30/60 calls  8 recorded  2 refused',
    );
  });

  it('is never wider than the terminal', () => {
    expect(progressLine({ done: 1, planned: 1, recorded: 1, refused: 0, elapsedMs: 0 }, 25)).toHaveLength(25);
  });
});
