/** Where the law orders recording: who does not want it ends the call (Code des assurances R112-7), never goes on unrecorded. */
import type { Announced } from './announcement.ts';
import type { Outcome } from './outcome.ts';
import type { CampaignRule } from './rules.ts';

/** Whether a call that an outage keeps from being recorded is refused (I4: in class `mandated` alone, where the campaign says so). */
export function refusesInOutage({ class: of, whenUnrecordable }: CampaignRule['campaign']): boolean {
  return of === 'mandated' && whenUnrecordable === 'refuse';
}

/** Whether the way in which the announcement went ends the call itself. */
export function endsCall(
  { kind }: { kind: Announced['kind'] | 'untraced' },
  { constraint }: Pick<CampaignRule, 'constraint'>,
): boolean {
  return constraint.onRefusal === 'end-call' && (kind === 'refused' || kind === 'no-consent');
}

export const refusedAndEnded: Outcome = {
  kind: 'refused',
  answered: false,
  hungUpBy: 'tacet',
  detail: 'mandated',
};

/** Reason of the BYEs with which a refusal ends a conversation (RFC 3326). */
export const mandatedRefusal = 'SIP;cause=603;text="Recording refused"';
