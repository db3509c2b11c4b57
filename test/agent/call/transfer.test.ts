import { expect, test } from 'vitest';
import { Arrivals, type Arrival } from '../../../agent/call/arrivals.ts';
import { directCrossing } from '../../../agent/call/crossing.ts';
import { Pair } from '../../../agent/call/legs.ts';
import { CallRegistry } from '../../../agent/call/registry.ts';
import { replacedBy, withDialogsRenamed } from '../../../agent/call/transfer.ts';
import { readReferTo, readReplaces } from '../../../agent/sip/replaces.ts';
import type { CallId, EpochMicros } from '../../../config/units.ts';
import { fakeLeg } from './fake-leg.ts';

function consultation() {
  const calls = new CallRegistry();
  const listed = calls.enter({
    call: 'consultation' as CallId,
    campaign: undefined,
    direction: 'outbound',
    since: 0 as EpochMicros,
  });
  const [agent, carrier] = [fakeLeg().leg, fakeLeg().leg];
  Object.assign(agent, { dialog: { callId: 'pbx-call', localTag: 'ours', remoteTag: 'pbx' } });
  Object.assign(carrier, {
    dialog: { callId: 'carrier-call', localTag: 'us', remoteTag: 'carol' },
    remoteTarget: 'sip:carol@198.51.100.7',
  });
  listed.pair = new Pair({ caller: carrier, agent }, directCrossing);
  return calls;
}

test('an attended transfer names the consultation as the other side knows it: its Call-ID, its tags, its Contact', () => {
  const request = {
    method: 'REFER' as const,
    headers: { 'refer-to': '<sip:200@tacet?Replaces=pbx-call%3Bto-tag%3Dours%3Bfrom-tag%3Dpbx>' },
    body: undefined,
  };
  const { headers } = withDialogsRenamed(request, consultation());
  expect(readReferTo(headers['refer-to']!)).toEqual({
    uri: 'sip:carol@198.51.100.7',
    replaces: { callId: 'carrier-call', toTag: 'carol', fromTag: 'us', earlyOnly: false },
  });
});

test('a Replaces of its own is renamed too, and what names no dialog of ours stays as it is', () => {
  const calls = consultation();
  const named = {
    method: 'INFO' as const,
    headers: { replaces: 'pbx-call;to-tag=ours;from-tag=pbx' },
    body: undefined,
  };
  expect(readReplaces(withDialogsRenamed(named, calls).headers['replaces']!)).toMatchObject({
    callId: 'carrier-call',
  });
  const strange = {
    method: 'REFER' as const,
    headers: { 'refer-to': '<sip:200@x?Replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2>', subject: 'hi' },
    body: undefined,
  };
  expect(withDialogsRenamed(strange, calls)).toEqual(strange);
});

test('who replaces a dialog takes the place of who has it, or, named from behind, of who talks with who has it', () => {
  const calls = consultation();
  const early = { earlyOnly: false };
  expect(replacedBy({ callId: 'pbx-call', toTag: 'ours', fromTag: 'pbx', ...early }, calls)?.side).toBe(
    'agent',
  );
  expect(replacedBy({ callId: 'carrier-call', toTag: 'carol', fromTag: 'us', ...early }, calls)?.side).toBe(
    'agent',
  );
  expect(replacedBy({ callId: 'pbx-call', toTag: 'pbx', fromTag: 'ours', ...early }, calls)?.side).toBe(
    'caller',
  );
  expect(replacedBy({ callId: 'pbx-call', toTag: 'x', fromTag: 'ours', ...early }, calls)).toBeUndefined();
});

test('of two who come in at once the second is asked to wait, and nobody comes into a call that is over', async () => {
  const arrivals = new Arrivals();
  const arrival = {
    side: 'agent',
    by: 'pickup',
    newcomer: {},
    progress: async () => undefined,
  } as unknown as Arrival;
  const asked = arrivals.asked(new AbortController().signal);
  const first = arrivals.ask(arrival);
  await asked;
  expect(await arrivals.ask(arrival)).toMatchObject({ seated: false, status: 491 });
  arrivals.settle({ seated: true });
  expect(await first).toEqual({ seated: true });
  const last = arrivals.ask(arrival);
  arrivals.close();
  expect([await last, await arrivals.ask(arrival)]).toMatchObject([{ status: 481 }, { status: 481 }]);
});
