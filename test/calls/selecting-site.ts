/** A site that draws every call, with a prompt of a second, and one call through it played step by step on both sides. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { verify } from '../../agent/cli/verify.ts';
import { storeEvidence } from '../../agent/cli/verify-command.ts';
import type { Tacet } from '../../agent/main.ts';
import type { LedgerEvent } from '../../agent/ledger/ledger.ts';
import { callAudio, type KeyPress } from '../peers/pcap.ts';
import type { Scenario } from '../peers/scenario.ts';
import { Sipp, type SippOptions, type SippResult } from '../peers/sipp.ts';
import { Capture } from '../peers/tshark.ts';
import { prepareSite, type Site, type SiteOptions } from './tacet-under-test.ts';

export const promptMs = 1_000;
export const graceMs = 200;

/** Every call is drawn, the prompt lasts a second: SIPp's caller talks from its answer on. */
export async function selectingSite(options: SiteOptions = {}): Promise<Site> {
  const site = await prepareSite({
    ...options,
    campaign: {
      ...options.campaign,
      announcement: { prompt: './prompt.wav', graceMs, ...(options.campaign?.['announcement'] as object) },
    },
  });
  const prompt = join(site.folder, 'prompt.wav');
  const sound = [
    '-n',
    '-r',
    '8000',
    '-c',
    '1',
    '-b',
    '16',
    prompt,
    'synth',
    '1',
    'sine',
    '600',
    'vol',
    '0.2',
  ];
  await promisify(execFile)('sox', sound);
  return site;
}

export interface Steps {
  caller: Scenario;
  pbx: Scenario;
  options?: { caller?: Partial<SippOptions>; pbx?: Partial<SippOptions> };
  press?: Record<'caller' | 'pbx', KeyPress[]> | { caller?: KeyPress[]; pbx?: KeyPress[] };
  talkMs?: number;
  /** While the call is on. */
  meanwhile?: (tacet: Tacet, pbx: Sipp) => Promise<void>;
}

export interface CallSeen {
  caller: SippResult;
  pbx: SippResult;
  events: LedgerEvent[];
}

/**
 * One call, SIPp on both sides; both must be content, nothing may be left of it, and tshark must find no fault in any
 * message.
 */
export async function playCall(
  site: Site,
  { caller, pbx, options = {}, press = {}, talkMs = 3_500, meanwhile }: Steps,
): Promise<CallSeen> {
  await using tacet = await site.start();
  await using wire = await Capture.start(`udp port ${site.sipPort}`);
  await using called = await Sipp.start({
    scenario: { xml: pbx.xml },
    port: site.pbxPorts[0]!,
    calls: 1,
    audio: callAudio({ durationMs: talkMs, keys: press.pbx ?? [] }),
    ...options.pbx,
  });
  await using calling = await Sipp.start({
    scenario: { xml: caller.xml },
    target: { port: site.sipPort },
    port: site.carrierPort,
    service: '+33800000001',
    audio: callAudio({ durationMs: talkMs, keys: press.caller ?? [] }),
    ...options.caller,
  });
  await meanwhile?.(tacet, called);
  const result = await calling.finished();
  expect(result.exitCode, result.errors + result.output.slice(-2_000)).toBe(0);
  const other = await called.finished();
  expect(other.exitCode, other.errors + other.output.slice(-2_000)).toBe(0);
  await tacet.drain();
  expectNothingLeft(tacet);
  await wire.stop();
  expect(await wire.complaints([`udp.port==${site.sipPort},sip`])).toEqual([]);
  return { caller: result, pbx: other, events: await site.events() };
}

/** Calls, registry entries, media sessions, dialogs: all gone with the call. */
export function expectNothingLeft(tacet: Tacet): void {
  expect(tacet.callsInProgress).toBe(0);
  expect(tacet.calls.size).toBe(0);
  expect(tacet.held).toEqual({ mediaSessions: 0, dialogs: 0 });
}

/** Kinds of the call's ledger entries, in order. */
export function kindsOf(events: readonly LedgerEvent[]): string[] {
  return events
    .map(({ kind }) => kind)
    .filter((kind) => kind.startsWith('call.') || kind.startsWith('recording.'));
}

/** What `tacet verify` says of the site's ledger and store. */
export async function soundness(site: Site): Promise<string> {
  let said = '';
  const store = storeEvidence(join(site.folder, 'data', 'store'));
  const ledgerDirectory = join(site.folder, 'data', 'ledger');
  await verify({ ledgerDirectory, store }, { write: (text) => (said += text) });
  return said;
}
