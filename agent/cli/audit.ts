/**
 * The ledger against the store, pure: does what is kept have its reason, does what was promised to be gone stay gone, and
 * was each draw the one that the counts allowed? What it is given it does not trust to be in agreement.
 */
import type { LedgerEntry, LedgerEvent } from '../ledger/ledger.ts';
import { retainAfterSignature } from '../law/retention.ts';
import { contradictionOf } from './draws.ts';

/** A recording as the store has it. */
export interface StoredRecording {
  header: {
    recording: string;
    call: string;
    campaign: string;
    purpose: string;
    class: string;
    legalBasis: string;
    controller: string;
    law: string[];
    /** RFC 3339. */
    retainUntil: string;
    afterSignatureMonths?: number;
    /** Hash of the ledger entry that allowed it. */
    allowedBy: string;
  };
  /** `open`: still being written. `interrupted`: it broke off and nobody closed it. */
  state: 'open' | 'complete' | 'interrupted';
  /** Arrival of its first packet, microseconds since the Unix epoch; undefined when it holds none. */
  firstPacketAt: number | undefined;
  /** The contract that it is kept for, longer than the header says. */
  contract?: { signedOn: string; retainUntil: string } | undefined;
}

/** What the store keeps of a recording that it destroyed. */
export interface StoredTombstone {
  recording: string;
  /** RFC 3339. */
  destroyedAt: string;
  proof: string;
}

export interface StoreEvidence {
  recordings: readonly StoredRecording[];
  tombstones: readonly StoredTombstone[];
}

export interface Finding {
  recording: string | undefined;
  call: string | undefined;
  /** As a sentence that goes on from "recording X" or "call X". */
  reason: string;
}

/** The agent's clocks are held within this of each other; an order closer than this cannot be told from the times. */
export const clockToleranceMs = 100;

type Of<Kind extends LedgerEvent['kind']> = Extract<LedgerEvent, { kind: Kind }>;
interface Told<Kind extends LedgerEvent['kind']> {
  entry: LedgerEntry;
  event: Of<Kind>;
}

/** What the ledger tells, by call and by recording. */
class Story {
  readonly decided = new Map<string, Told<'call.decided'>>();
  readonly told = new Map<string, Told<'call.told'>[]>();
  /** Calls that somebody ordered to be recorded, beside the sample. */
  readonly ordered = new Set<string>();
  readonly refused = new Map<string, Told<'call.refused'>>();
  readonly consented = new Map<string, Told<'call.consented'>>();
  readonly allowed = new Map<string, Told<'recording.allowed'>>();
  readonly retained = new Map<string, Told<'recording.retained'>>();
  readonly closed = new Map<string, Told<'recording.closed'>>();
  readonly failed = new Map<string, Told<'recording.failed'>>();
  readonly destroyed = new Map<string, Told<'recording.destroyed'>>();

  constructor(entries: Iterable<LedgerEntry>) {
    for (const entry of entries) this.#read(entry, entry.event);
  }

  #read(entry: LedgerEntry, event: LedgerEvent): void {
    switch (event.kind) {
      case 'call.decided':
        this.decided.set(event.call, { entry, event });
        return;
      case 'call.told':
        this.told.set(event.call, [...(this.told.get(event.call) ?? []), { entry, event }]);
        return;
      case 'call.refused':
        this.refused.set(event.call, { entry, event });
        return;
      case 'call.consented':
        this.consented.set(event.call, { entry, event });
        return;
      case 'recording.allowed':
        this.allowed.set(event.recording, { entry, event });
        return;
      case 'recording.retained':
        this.retained.set(event.recording, { entry, event });
        return;
      case 'recording.closed':
        this.closed.set(event.recording, { entry, event });
        return;
      case 'recording.failed':
        if (event.recording !== undefined) this.failed.set(event.recording, { entry, event });
        return;
      case 'recording.destroyed':
        // Told again with its proof when the store confirms it later.
        this.destroyed.set(event.recording, { entry, event });
        return;
      case 'call.ordered':
        if (event.verb === 'record' && event.done) this.ordered.add(event.call);
        return;
      case 'agent.started':
      case 'agent.stopped':
      case 'recording.exported':
      case 'campaigns.changed':
      case 'call.linked':
      case 'call.party':
      case 'sampling.key-committed':
      case 'sampling.key-revealed':
      case 'call.ended':
    }
  }
}

/**
 * @param entries of a chain that was checked before
 * @param now beyond which date a recording is overdue
 */
export function audit(entries: Iterable<LedgerEntry>, store: StoreEvidence, now: Date): Finding[] {
  const story = new Story(entries);
  const stored = new Map(store.recordings.map((recording) => [recording.header.recording, recording]));
  const tombstones = new Map(store.tombstones.map((tombstone) => [tombstone.recording, tombstone]));
  return [
    ...[...story.decided.values()].flatMap(({ event }) => drawFindings(event)),
    ...store.recordings.flatMap((recording) => storedFindings(recording, story, tombstones, now)),
    ...[...story.allowed.values()].flatMap(({ event }) => endFindings(event, story, stored, tombstones, now)),
  ];
}

/** The draw again, from what it was taken on; `tacet audit draws` goes further, with the revealed keys. */
function drawFindings(event: Of<'call.decided'>): Finding[] {
  const reason = contradictionOf(event);
  return reason === undefined ? [] : [{ recording: undefined, call: event.call, reason }];
}

/** Whether a stored recording has everything that it may be kept for. */
function storedFindings(
  { header, firstPacketAt, contract }: StoredRecording,
  story: Story,
  tombstones: ReadonlyMap<string, StoredTombstone>,
  now: Date,
): Finding[] {
  const { recording, call } = header;
  const findings: Finding[] = [];
  const say = (reason: string): unknown => findings.push({ recording, call, reason });
  if (story.destroyed.has(recording)) say('was destroyed according to the ledger, but is in the store');
  if (tombstones.has(recording)) say('has a tombstone, but is in the store');
  const { retainUntil } = contract ?? header;
  if (new Date(retainUntil) < now) say(`is overdue: it was to be erased by ${retainUntil}`);
  const allowed = story.allowed.get(recording);
  if (allowed === undefined) {
    say('was never allowed by the ledger');
    return findings;
  }
  if (allowed.entry.hash !== header.allowedBy) say('names another ledger entry than the one that allowed it');
  for (const difference of differences(header, allowed.event)) say(difference);
  for (const doubt of contractDoubts(contract, story.retained.get(recording)?.event, allowed.event))
    say(doubt);
  const decided = story.decided.get(call);
  if (decided?.event.selected !== true && !story.ordered.has(call)) say('is of a call that was not selected');
  else if (decided !== undefined && decided.entry.sequence > allowed.entry.sequence)
    say('was allowed before its call was drawn');
  const told = story.told.get(call) ?? [];
  if (!told.some(({ entry, event }) => event.complete && entry.sequence < allowed.entry.sequence)) {
    say('was allowed before its announcement had been heard to the end');
  }
  if (story.refused.has(call)) say('is of a call that was refused');
  if (decided?.event.mode === 'consent' && !precedes(story.consented.get(call), allowed)) {
    say('was allowed without the yes that its law asks for');
  }
  const allowedAt = Date.parse(allowed.entry.at);
  if (firstPacketAt !== undefined && firstPacketAt / 1_000 < allowedAt - clockToleranceMs) {
    say('has audio from before it was allowed');
  }
  return findings;
}

function precedes(told: { entry: LedgerEntry } | undefined, later: { entry: LedgerEntry }): boolean {
  return told !== undefined && told.entry.sequence < later.entry.sequence;
}

function differences(header: StoredRecording['header'], allowed: Of<'recording.allowed'>): string[] {
  const keys = ['call', 'campaign', 'purpose', 'class', 'legalBasis', 'controller'] as const;
  const changed: string[] = keys
    .filter((key) => header[key] !== allowed[key])
    .map((key) => `says ${key} "${header[key]}", the ledger allowed "${allowed[key]}"`);
  if (header.law.join() !== allowed.law.join()) changed.push('names other laws than the ledger');
  if (header.afterSignatureMonths !== allowed.afterSignatureMonths)
    changed.push('names another time after a signature than the ledger');
  if (new Date(header.retainUntil) > new Date(allowed.retainUntil)) {
    changed.push(
      `is kept until ${header.retainUntil}, longer than the ledger allowed (${allowed.retainUntil})`,
    );
  }
  return changed;
}

/** Whether a recording is kept for a contract as long as its law says, and as the ledger was told. */
function contractDoubts(
  contract: StoredRecording['contract'],
  retained: Of<'recording.retained'> | undefined,
  { retainUntil, afterSignatureMonths }: Of<'recording.allowed'>,
): string[] {
  if (contract === undefined && retained === undefined) return [];
  if (retained === undefined)
    return ['is kept for a contract that the ledger does not know (or not yet, while no agent runs)'];
  const { signedOn } = retained;
  if (afterSignatureMonths === undefined) return ['is kept for a contract, which its law does not ask for'];
  const doubts: string[] = [];
  if (retained.retainUntil !== retainAfterSignature(signedOn, afterSignatureMonths))
    doubts.push(`is kept until ${retained.retainUntil}, not ${afterSignatureMonths} months from ${signedOn}`);
  if (signedOn > retainUntil.slice(0, 10))
    doubts.push(`is kept for a contract of ${signedOn}, when it was to be erased by ${retainUntil}`);
  if (contract?.retainUntil !== retained.retainUntil) {
    const kept = contract?.retainUntil ?? retainUntil;
    doubts.push(`is kept until ${kept} by the store, but for its contract until ${retained.retainUntil}`);
  }
  return doubts;
}

/** Whether what was allowed came to an end, and whether the end is the one that the store shows. */
function endFindings(
  { recording, call, retainUntil }: Of<'recording.allowed'>,
  story: Story,
  stored: ReadonlyMap<string, StoredRecording>,
  tombstones: ReadonlyMap<string, StoredTombstone>,
  now: Date,
): Finding[] {
  const say = (reason: string): Finding[] => [{ recording, call, reason }];
  const tombstone = tombstones.get(recording);
  const destroyed = story.destroyed.get(recording)?.event;
  const contract = story.retained.get(recording)?.event;
  if (destroyed !== undefined) {
    if (tombstone === undefined) {
      return stored.has(recording)
        ? []
        : say('was destroyed according to the ledger, but the store has no tombstone of it');
    }
    return destroyed.proof === undefined || destroyed.proof === tombstone.proof
      ? []
      : say('has another proof of its destruction in the ledger than in the store');
  }
  if (contract !== undefined && tombstone !== undefined && tombstone.destroyedAt < contract.retainUntil)
    return say(
      `was erased at ${tombstone.destroyedAt}, though its contract keeps it until ${contract.retainUntil}`,
    );
  if (stored.has(recording) || tombstone !== undefined || story.failed.has(recording)) return [];
  if (story.closed.has(recording)) {
    return new Date(contract?.retainUntil ?? retainUntil) < now
      ? []
      : say('was closed, but is not in the store (lost, or still in the spool)');
  }
  return say('has no end: not closed, failed or destroyed, and not in the store');
}
