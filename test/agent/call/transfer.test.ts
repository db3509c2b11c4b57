import { expect, test } from 'vitest';
import { CallRegistry } from '../../../agent/call/registry.ts';
import { Transfers, withDialogsRenamed } from '../../../agent/call/transfer.ts';
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
  listed.legs = [carrier, agent];
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

test('of two transfers at once the second is asked to wait, and nonsense is refused', async () => {
  const transfers = new Transfers();
  const refer = (to: string) => ({ method: 'REFER' as const, headers: { 'refer-to': to }, body: undefined });
  expect(transfers.take('agent', refer('<http://x>')).status).toBe(400);
  const asked = transfers.asked(new AbortController().signal);
  expect(transfers.take('agent', refer('<sip:200@x>')).status).toBe(202);
  await asked;
  expect(transfers.current).toEqual({ by: 'agent', uri: 'sip:200@x' });
  expect(transfers.take('caller', refer('<sip:300@x>')).status).toBe(491);
  transfers.settle();
  expect(transfers.take('caller', refer('<sip:300@x>')).status).toBe(202);
});
