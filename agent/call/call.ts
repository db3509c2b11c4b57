/** One call's life, told top to bottom: match, decide, connect, announce, ask, bridge, record, end (design section 6). */
import { messageOf } from '../../config/errors.ts';
import type { Rate } from '../../config/units.ts';
import { MediaUnavailable, SdpRefused, type MediaSession, type MediaSide } from '../../media/plane.ts';
import { sdpIn } from '../../media/sdp/multipart.ts';
import { becauseIds } from '../law/constraint.ts';
import type { LedgerEvent } from '../ledger/ledger.ts';
import { dayOf } from '../sampling/gate.ts';
import type { Reservation } from '../sampling/sampler.ts';
import { InviteCancelled, type Invite } from '../sip/invite.ts';
import type { CampaignRule, House } from './house.ts';
import { announceBeforeConnect } from './before-connect.ts';
import { announceInEarlyMedia } from './early-media.ts';
import { refusesInOutage } from './mandated.ts';
import { announceOnAnswer } from './on-answer.ts';
import type { Outcome } from './outcome.ts';
import { judgeQuality } from './quality.ts';
import { passThrough, type PassedCall } from './pass-through.ts';
import { callingIn } from './newcomer.ts';
import type { EnteredCall } from './registry.ts';
import { readReplaces } from '../sip/replaces.ts';
import { parties, type SelectedCall } from './selected.ts';
import { trace } from './trace.ts';
import { replacedBy } from './transfer.ts';
import { agentOf, whyWithheld, type Withheld } from './withheld.ts';

/** Carries a call from its INVITE to its end, and leaves nothing of it behind. */
export async function carryCall(invite: Invite, house: House): Promise<Outcome> {
  // Known from the INVITE alone, before anything that could keep it waiting.
  const untouched = untouchedAs(invite);
  const rule = untouched === undefined ? matchRule(invite, house) : undefined;
  using listed = house.calls.enter({
    call: invite.call,
    campaign: rule?.campaign.name,
    direction: invite.from.kind === 'trunk' ? 'inbound' : 'outbound',
    since: house.now(),
  });
  if (untouched === undefined) enterParties(listed, invite, house, rule !== undefined);
  const call: PassedCall = { invite, house, listed, rule };
  let outcome: Outcome | undefined;
  try {
    const replaces = invite.header('Replaces');
    if (replaces !== undefined) outcome = await comeInto(call, replaces);
    else if (untouched !== undefined) outcome = await passUntouched(call, untouched);
    else if (rule === undefined) outcome = await passThrough(call, { kind: 'unmatched' });
    else outcome = await carrySampled(call, rule);
    return outcome;
  } finally {
    const { kind, answered } = outcome ?? { kind: 'unreachable' as const, answered: false };
    const campaign = rule?.campaign.name;
    house.metrics.callEnded(campaign ?? 'none', kind);
    house.log.info(
      { call: invite.call, campaign, outcome: kind, detail: outcome?.detail, by: outcome?.hungUpBy },
      'call ended',
    );
    await house.ledger
      .append(
        {
          kind: 'call.ended',
          call: invite.call,
          campaign,
          outcome: kind,
          answered,
          recorded: kind === 'recorded',
          quality: outcome?.quality,
          parties: listed.parties.length > 2 ? listed.parties : undefined,
        },
        'soon',
      )
      .catch((error: unknown) =>
        house.log.error({ call: invite.call, err: error }, 'ledger cannot be written'),
      );
  }
}

/** The first two: one outside, one on the PBX's side. No pseudonym is made of who calls for no campaign. */
function enterParties(listed: EnteredCall, invite: Invite, house: House, claimed: boolean): void {
  const inbound = invite.from.kind === 'trunk';
  listed.outside.set('caller', inbound ? invite.caller : invite.called);
  if (!claimed) return;
  const { caller, agent } = parties(invite, inbound, house);
  listed.enterParty('caller', caller, listed.facts.since);
  listed.enterParty('agent', agent, listed.facts.since);
}

type Untouched = 'emergency' | 'bypassed' | 'inner';

/** Why a call passes without a draw, whatever a campaign says. */
function untouchedAs({ marks }: Invite): Untouched | undefined {
  if (marks.free !== undefined) return marks.free === 'emergency' ? 'emergency' : 'bypassed';
  return marks.pass === undefined ? undefined : 'inner';
}

/** Carries a call that no campaign may claim; one that keeps coming back is stopped (RFC 3261 section 16.3, 482). */
async function passUntouched(call: PassedCall, kind: Untouched): Promise<Outcome> {
  const { invite, house } = call;
  const { pass } = invite.marks;
  if (kind === 'inner' && pass !== undefined) {
    void trace(house, { kind: 'call.linked', call: invite.call, of: pass.of, passes: pass.passes });
  }
  if (pass !== undefined && pass.passes >= house.config.routing.maxPasses) {
    house.log.warn({ call: invite.call, of: pass.of, passes: pass.passes }, 'call goes round in circles');
    invite.reject(482);
    return { kind: 'rejected', answered: false, hungUpBy: undefined, detail: '482' };
  }
  return passThrough(call, { kind });
}

/**
 * A call that takes the place of a dialog of another one (RFC 3891) comes into that call: it is the same conversation, so it is
 * not drawn, and its leg is the other call's from then on. Whoever knows both tags of a dialog was told them by one of its ends.
 */
async function comeInto({ invite, house }: PassedCall, value: string): Promise<Outcome> {
  const replaces = readReplaces(value);
  const seat = replaces === undefined ? undefined : replacedBy(replaces, house.calls);
  const rejected = (status: number, reason?: string): Outcome => {
    invite.reject(status, reason);
    return { kind: 'rejected', answered: false, hungUpBy: undefined, detail: String(status) };
  };
  if (replaces === undefined || seat === undefined) return rejected(481);
  // It was to be picked up only while it rings, and it was answered (RFC 3891 section 3).
  if (replaces.earlyOnly) return rejected(486);
  const settled = await seat.pair.arrivals.ask({
    side: seat.side,
    by: 'pickup',
    newcomer: callingIn(invite, house),
    progress: () => Promise.resolve(),
  });
  if (!settled.seated) return rejected(settled.status, settled.reason);
  await trace(house, { kind: 'call.linked', call: invite.call, of: seat.call.facts.call, passes: 0 });
  return { kind: 'inner', answered: true, hungUpBy: undefined, detail: 'replaces' };
}

function matchRule(invite: Invite, house: House): CampaignRule | undefined {
  const campaign = house.campaigns.match({
    direction: invite.from.kind === 'trunk' ? 'inbound' : 'outbound',
    called: invite.called,
    caller: invite.caller,
    header: (name) => invite.header(name),
    trunk: invite.from.name,
  });
  if (campaign === undefined) return undefined;
  const outside = campaign.direction === 'inbound' ? invite.caller : invite.called;
  const today = new Date(house.now() / 1_000).toISOString().slice(0, 10);
  const header = (name: string): string | undefined => invite.header(name);
  const rule = house.ruleFor(house.live.now(campaign), { outside: [outside], header, today });
  const withheld = whyWithheld(campaign, { called: invite.called, caller: invite.caller, header }, house);
  return withheld === undefined ? rule : { ...rule, withheld };
}

/** Draws, carries the call as the draw says, and settles the draw with what became of it. */
async function carrySampled(call: PassedCall, rule: CampaignRule): Promise<Outcome> {
  const { invite, house } = call;
  const { campaign, constraint } = rule;
  const undrawn = whyUndrawn(rule);
  if (undrawn !== undefined) return await carryUndrawn(call, rule, undrawn);
  const draw = await house.sampler.reserve(
    {
      name: campaign.name,
      rate: constraint.drawnRate as Rate,
      announcedCap: campaign.announcedCap,
      dailyGuard: campaign.dailyGuard,
      timeZone: campaign.timeZone,
    },
    invite.call,
  );
  house.metrics.decision(
    campaign.name,
    draw.reason === 'unavailable' ? 'unavailable' : draw.selected ? 'selected' : 'passed-over',
    (performance.now() - invite.receivedAt) / 1_000,
  );
  let settled = false;
  const conversation = (): void => {
    // An unselected conversation counts from its answer on, so that the sample follows the traffic without delay.
    settled = true;
    void house.sampler.settle(draw, 'not-recorded');
  };

  let outcome: Outcome | undefined;
  try {
    const written = writeDecision(call, rule, draw);
    if (!draw.selected) {
      written.catch((error: unknown) =>
        house.log.error({ call: invite.call, err: error }, 'ledger cannot be written'),
      );
      return (outcome =
        draw.reason === 'unavailable' && refusesInOutage(campaign)
          ? refuseUnrecordable(call, 'sampler-unavailable')
          : await passThrough(call, { kind: 'unselected', onAnswered: conversation }));
    }
    const why = await written.then(
      () => undefined,
      (error: unknown) => `ledger: ${messageOf(error)}`,
    );
    return (outcome = await (why === undefined
      ? carrySelected(call, rule)
      : missedByOutage(call, rule, why)));
  } finally {
    if (!settled) {
      const kept = outcome?.kind === 'recorded' ? 'recorded' : 'not-recorded';
      void house.sampler.settle(draw, outcome?.answered === true ? kept : 'no-conversation');
    }
  }
}

type Undrawn = Withheld | 'law' | 'on-demand';

/** What is withheld, what the law blocks, or is recorded on demand only, takes no place in the sample. */
function whyUndrawn({ campaign, constraint, withheld }: CampaignRule): Undrawn | undefined {
  if (withheld !== undefined) return withheld;
  if (constraint.blocked.length > 0) return 'law';
  return campaign.trigger === 'on-demand' ? 'on-demand' : undefined;
}

async function carryUndrawn(call: PassedCall, rule: CampaignRule, reason: Undrawn): Promise<Outcome> {
  const { invite, house } = call;
  house.metrics.undrawn(rule.campaign.name, reason);
  const { timeZone } = rule.campaign;
  const day = dayOf(new Date(house.now() / 1_000), timeZone);
  const undrawn = { selected: false, reason, day, epoch: day.slice(0, 7), basis: undefined, draw: undefined };
  writeDecision(call, rule, undrawn).catch((error: unknown) =>
    house.log.error({ call: invite.call, err: error }, 'ledger cannot be written'),
  );
  if (reason === 'changes-unknown' && refusesInOutage(rule.campaign)) return refuseUnrecordable(call, reason);
  return await passThrough(call, { kind: 'unselected' });
}

/** A selected call goes through the media plane; where it cannot, it goes through without us (I4). */
async function carrySelected(passed: PassedCall, rule: CampaignRule): Promise<Outcome> {
  const { invite, house, listed } = passed;
  let media: MediaSession;
  try {
    media = await house.media.open(invite.call);
  } catch (error) {
    if (error instanceof MediaUnavailable) return missedByOutage(passed, rule, 'media-unavailable');
    throw error;
  }
  const outcome = await carryAnchored({ invite, rule, media, house, listed });
  return typeof outcome === 'string' ? await passUnrecorded(passed, outcome) : outcome;
}

/** @returns why the call must go through without us, where nobody has heard of it yet */
async function carryAnchored(call: SelectedCall): Promise<Outcome | string> {
  const { invite, media, house } = call;
  await using _session = media;
  const inbound = invite.from.kind === 'trunk';
  let described: string;
  try {
    described = await describe(invite, media[inbound ? 'caller' : 'agent']);
  } catch (error) {
    if (error instanceof SdpRefused) return `sdp-${error.reason}`;
    throw error;
  }
  try {
    const outcome = await placementOf(call)(call, described);
    if (typeof outcome === 'string') return outcome;
    const quality = await judgeQuality(media);
    house.metrics.quality(quality);
    return { ...outcome, quality };
  } catch (error) {
    if (error instanceof InviteCancelled || invite.cancelled.aborted) {
      return { kind: 'abandoned', answered: false, hungUpBy: 'caller', detail: undefined };
    }
    throw error;
  }
}

/** When the outside party is told. Without an offer there is no early media to tell it in. */
function placementOf({ invite, rule }: SelectedCall): typeof announceOnAnswer {
  const inbound = invite.from.kind === 'trunk';
  const placement = rule.campaign.announcement.placement ?? (inbound ? 'before-connect' : 'on-answer');
  if (placement === 'on-answer') return announceOnAnswer;
  return placement === 'early-media' && invite.body !== undefined
    ? announceInEarlyMedia
    : announceBeforeConnect;
}

/** What our 200 says: the answer to the INVITE's offer, or our own offer where it has none (RFC 3261 section 13.2.1). */
async function describe({ body, contentType, from }: Invite, side: MediaSide): Promise<string> {
  if (body === undefined) return await side.offer(undefined, from.srtp);
  const offer = sdpIn({ text: body, type: contentType });
  if (offer === undefined) throw new SdpRefused('malformed', `no SDP in ${contentType ?? 'the body'}`);
  return await side.answer(offer, undefined, from.srtp);
}

/** I4, unless the law that orders recording had this call refused rather than unrecorded. */
async function missedByOutage(
  call: PassedCall,
  { campaign }: CampaignRule,
  detail: string,
): Promise<Outcome> {
  return refusesInOutage(campaign) ? refuseUnrecordable(call, detail) : await passUnrecorded(call, detail);
}

function refuseUnrecordable({ invite, house }: PassedCall, detail: string): Outcome {
  house.log.warn({ call: invite.call, detail }, 'mandated call is refused: it could not be recorded');
  house.metrics.recordingFailed(detail);
  invite.reject(503);
  return { kind: 'rejected', answered: false, hungUpBy: 'tacet', detail };
}

function passUnrecorded(call: PassedCall, detail: string): Promise<Outcome> {
  const { invite, house } = call;
  house.log.warn({ call: invite.call, detail }, 'selected call goes on unrecorded');
  house.metrics.recordingFailed(detail);
  return passThrough(call, { kind: 'unrecorded', detail });
}

function writeDecision(
  { invite, house, listed }: PassedCall,
  { campaign, constraint }: CampaignRule,
  draw: Pick<Reservation, 'selected' | 'epoch' | 'day' | 'basis' | 'draw'> & { reason: string },
): Promise<unknown> {
  const { called, caller } = invite;
  const header = (name: string): string | undefined => invite.header(name);
  const agent = agentOf(campaign, { called, caller, header }, house.config.agents);
  const decided: LedgerEvent = {
    kind: 'call.decided',
    call: invite.call,
    campaign: campaign.name,
    direction: campaign.direction,
    selected: draw.selected,
    reason: draw.reason,
    rate: constraint.drawnRate,
    epoch: draw.epoch,
    day: draw.day,
    timeZone: campaign.timeZone ?? 'UTC',
    basis: draw.basis,
    draw: draw.draw,
    mode: constraint.mode,
    law: constraint.packs,
    because: becauseIds(constraint),
    parties: { caller: listed.partyOn('caller') ?? '', agent: listed.partyOn('agent') ?? '' },
    agent: agent === undefined ? undefined : house.pseudonym(agent),
  };
  // Only what is to be recorded waits for its entry.
  return house.ledger.append(decided, draw.selected ? 'now' : 'soon');
}
