import { describe, expect, it } from 'vitest';
import { Sipp, runSipp, type CallerScenario, type PbxScenario, type SippKeys } from './sipp.ts';

const pairs: [CallerScenario, PbxScenario, SippKeys?][] = [
  ['caller-call', 'pbx-answers'],
  ['caller-call', 'pbx-early-media'],
  ['caller-waits-for-bye', 'pbx-hangs-up'],
  ['caller-waits-for-bye', 'pbx-holds', { hold_direction: 'sendonly' }],
  ['caller-waits-for-bye', 'pbx-holds', { hold_direction: 'inactive' }],
  ['caller-cancels', 'pbx-never-answers'],
  ['caller-is-rejected', 'pbx-is-busy', { status: '486 Busy Here' }],
  ['caller-is-rejected', 'pbx-rejects', { status: '503 Service Unavailable' }],
  ['caller-is-rejected', 'pbx-rejects', { status: '603 Decline' }],
  ['caller-holds', 'pbx-answers', { hold_direction: 'sendonly' }],
  ['caller-holds', 'pbx-answers', { hold_direction: 'inactive' }],
  ['caller-reinvites-again-after-488', 'pbx-rejects-first-reinvite'],
  ['caller-reinvites-without-sdp', 'pbx-answers'],
  ['caller-offers-late', 'pbx-answers'],
  ['caller-sends-info', 'pbx-answers'],
  ['caller-asks-options', 'pbx-answers-options'],
];

describe('the scenarios, SIPp against SIPp', () => {
  it.concurrent.each(pairs)('%s and %s understand each other', async (caller, pbx, keys = {}) => {
    const times: SippKeys = { talk_ms: 120, hold_ms: 120, ring_ms: 60, ...keys };
    await using called = await Sipp.start({ scenario: pbx, calls: 1, keys: times });
    const result = await runSipp({ scenario: caller, target: called, service: '+33800000001', keys: times });
    expect(result.exitCode, result.errors + result.output.slice(-3_000)).toBe(0);
    const other = await called.finished();
    expect(other.exitCode, other.errors + other.output.slice(-3_000)).toBe(0);
    expect([result.successful, other.successful]).toEqual([1, 1]);
    expect(result.retransmissions + other.retransmissions).toBe(0);
  });
});
