/** Gates: what must have been done before a campaign records, and which key of its mandate shows that it was. */
import type { Campaign } from '../../config/schema.ts';
import type { Gate } from './packs.ts';

const evidence: Record<Gate, keyof Campaign['mandate']> = {
  'register-entry': 'registerEntry',
  dpia: 'dpia',
  instruction: 'instruction',
  'staff-consulted': 'staffConsultedOn',
  'agents-notice': 'agentsNoticeOn',
  'agents-consent': 'agentsConsent',
  'union-agreement': 'unionAgreement',
  'authority-declaration': 'authorityDeclaration',
  'authority-transfer': 'authorityTransfer',
  'prior-opt-in': 'priorOptIn',
  'no-other-proof': 'noOtherProof',
  'recorded-persons': 'recordedPersons',
};

export interface GateState {
  gate: Gate;
  /** Pack that asks for it. */
  pack: string;
  open: boolean;
  /** The reference that opens it, or the key that would. */
  by: string;
}

/** @param today ISO 8601 date: a consultation that is yet to come opens nothing */
export function gateState(gate: Gate, pack: string, { mandate }: Campaign, today: string): GateState {
  const key = evidence[gate];
  const given = mandate[key];
  if (given === undefined) return { gate, pack, open: false, by: `mandate.${key}` };
  const dated = key === 'staffConsultedOn' || key === 'agentsNoticeOn';
  if (dated && given > today)
    return { gate, pack, open: false, by: `mandate.${key} is ${given}, in the future` };
  return { gate, pack, open: true, by: given };
}
