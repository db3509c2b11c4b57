/** What may be ordered about campaigns, and when it may not: pure, from the state as it is to the deed that is done. */
import { TacetError } from '../../config/errors.ts';
import type { Campaign } from '../../config/schema.ts';
import { constrain } from '../law/constrain.ts';
import type { LawBook } from '../law/load.ts';
import type { Deed, LiveSettings, Raise } from './changes.ts';
import { freeCeiling, type SiteState } from './state.ts';

/** Why an order is not carried out: closed, for machines; the message is for the person. */
export type Forbidden =
  | 'unknown-campaign'
  | 'unknown-proposal'
  | 'unknown-stop'
  | 'unknown-agent'
  | 'unknown-objection'
  /** Above what one person may set: propose it. */
  | 'needs-approval'
  | 'same-person'
  | 'already-decided'
  | 'not-above'
  | 'past'
  | 'law'
  | 'needs-legal-text'
  | 'other-purpose';

export class OrderForbidden extends TacetError {
  readonly code: Forbidden;
  constructor(code: Forbidden, message: string) {
    super(message);
    this.code = code;
  }
}

/** Somebody else changed it since it was read. */
export class ChangedMeanwhile extends TacetError {
  readonly version: number;
  constructor(subject: string, expected: number, version: number) {
    super(
      `${subject} was changed meanwhile: you have version ${expected}, it is at ${version}; read it again`,
    );
    this.version = version;
  }
}

export interface Grounds {
  state: SiteState;
  campaigns: ReadonlyMap<string, Campaign>;
  law: LawBook;
  now: Date;
  by: string;
}

/** @throws OrderForbidden */
export function settingsOrder(grounds: Grounds, name: string, settings: LiveSettings): Deed {
  const campaign = campaignOf(grounds, name);
  const ceiling = freeCeiling(campaign);
  if (settings.rate !== undefined && settings.rate > ceiling) {
    throw new OrderForbidden(
      'needs-approval',
      `${name}: a rate of ${settings.rate} is above ${ceiling}, which one person may set; propose it, and have it approved`,
    );
  }
  return { kind: 'campaign.set', campaign: name, settings };
}

/** @throws OrderForbidden */
export function raiseOrder(grounds: Grounds, proposal: string, raise: Raise): Deed {
  const campaign = campaignOf(grounds, raise.campaign);
  const ceiling = freeCeiling(campaign);
  if (raise.rate <= ceiling) {
    throw new OrderForbidden(
      'not-above',
      `a rate of ${raise.rate} needs no approval: up to ${ceiling} is set`,
    );
  }
  if (raise.purpose !== campaign.purpose) {
    throw new OrderForbidden(
      'other-purpose',
      `the campaign records for "${campaign.purpose}"; another purpose is another campaign (GDPR Art. 5(1)(b))`,
    );
  }
  mayHold(grounds, campaign, raise);
  return { kind: 'raise.proposed', proposal, raise };
}

/**
 * A person other than the proposer decides, and what was lawful when it was proposed must be so still.
 *
 * @throws OrderForbidden
 */
export function decisionOrder(
  grounds: Grounds,
  id: string,
  decision: 'raise.approved' | 'raise.refused',
): Deed {
  const proposal = grounds.state.proposal(id);
  if (proposal === undefined) throw new OrderForbidden('unknown-proposal', `there is no proposal ${id}`);
  if (proposal.state !== 'proposed') {
    throw new OrderForbidden('already-decided', `proposal ${id} is ${proposal.state} already`);
  }
  if (decision === 'raise.approved') {
    if (proposal.proposedBy === grounds.by) {
      throw new OrderForbidden(
        'same-person',
        `${grounds.by} proposed it: a second person with the approving role approves`,
      );
    }
    mayHold(grounds, campaignOf(grounds, proposal.campaign), proposal);
  }
  return { kind: decision, proposal: id };
}

function mayHold({ law, now }: Grounds, campaign: Campaign, raise: Raise): void {
  const { rate, until, legalText } = raise;
  if (new Date(until) <= now) throw new OrderForbidden('past', `its end, ${until}, has passed`);
  const raised = raisedCampaign(campaign, raise);
  if (rate >= 1 && campaign.class !== 'mandated' && legalText === undefined) {
    throw new OrderForbidden(
      'needs-legal-text',
      'recording every conversation needs a law that orders it: class "mandated", or name the text in legalText',
    );
  }
  const constraint = constrain(raised, { outside: [], today: now.toISOString().slice(0, 10) }, law);
  if (constraint.rate < rate) {
    const why = constraint.because.filter(({ value }) => value === 'rate' || value === 'blocked');
    throw new OrderForbidden('law', why.map(({ text }) => text).join('; '));
  }
}

/** A campaign as an approved raise makes it. */
export function raisedCampaign(campaign: Campaign, { rate, justification, legalText }: Raise): Campaign {
  return {
    ...campaign,
    rate,
    necessity: justification,
    ...(legalText === undefined ? {} : { legalText }),
  };
}

/** @throws OrderForbidden */
export function campaignOf({ campaigns }: Pick<Grounds, 'campaigns'>, name: string): Campaign {
  const campaign = campaigns.get(name);
  if (campaign === undefined)
    throw new OrderForbidden('unknown-campaign', `there is no campaign "${name}" in the campaigns file`);
  return campaign;
}
