/** What keeps a call from the draw and from being recorded by order, whatever its campaign and the law would allow. */
import { normaliseNumber } from '../../config/number.ts';
import type { Campaign } from '../../config/schema.ts';
import type { AgentsConfig } from '../../config/schema/agents.ts';
import type { AgentFacts } from '../campaigns/changes.ts';
import type { SiteState } from '../campaigns/state.ts';
import { userOf } from '../sip/peer-uri.ts';
import type { House } from './house.ts';
import type { SelectedCall } from './selected.ts';

export type Withheld =
  /** What other agents may have changed is not known: a stop or an objection could be among it. */
  | 'changes-unknown'
  | 'stopped'
  /** The outside party objects (GDPR Art. 21). */
  | 'objection'
  /** A staff representative: no policy overrides it. */
  | 'protected-agent'
  | 'private-line'
  /** Not informed in person yet (Code du travail L1222-4). */
  | 'agent-without-notice'
  | 'unknown-agent';

export interface CallParties {
  called: string;
  caller: string;
  header: (name: string) => string | undefined;
}

/** All from memory: the INVITE path awaits nothing here. */
export function whyWithheld(
  campaign: Campaign,
  call: CallParties,
  { live, config, now }: Pick<House, 'live' | 'config' | 'now'>,
): Withheld | undefined {
  if (!live.isCurrent) return 'changes-unknown';
  if (live.stopOf(campaign.name) !== undefined) return 'stopped';
  const inbound = campaign.direction === 'inbound';
  const outside = inbound ? call.caller : call.called;
  if (live.state.objects(outside, campaign.purpose)) return 'objection';
  const today = new Date(now() / 1_000).toISOString().slice(0, 10);
  return whyNotTheAgent(agentOf(campaign, call, config.agents), outside, today, live.state, config.agents);
}

/**
 * What keeps a call from being recorded once its agent is known: who answers at a PBX is known by the user of the Contact or by
 * a later identity, not by the INVITE. A stranger to the list is judged by the INVITE alone.
 */
export function whyWithheldFrom(
  identity: string,
  { rule, invite, house }: Pick<SelectedCall, 'rule' | 'invite' | 'house'>,
): Withheld | undefined {
  const user = userOf(identity);
  if (user === undefined) return undefined;
  const outside = rule.campaign.direction === 'inbound' ? invite.caller : invite.called;
  const today = new Date(house.now() / 1_000).toISOString().slice(0, 10);
  return whyNotTheAgent(normaliseNumber(user), outside, today, house.live.state, {
    ...house.config.agents,
    unknown: 'recorded',
  });
}

function whyNotTheAgent(
  agent: string | undefined,
  outside: string,
  today: string,
  { agents }: Pick<SiteState, 'agents'>,
  { unknown }: AgentsConfig,
): Withheld | undefined {
  if (agents.size === 0) return undefined;
  const facts: AgentFacts | undefined = agent === undefined ? undefined : agents.get(agent);
  if (facts === undefined) return unknown === 'recorded' ? undefined : 'unknown-agent';
  if (facts.protected === true) return 'protected-agent';
  if (facts.noticeOn === undefined || facts.noticeOn > today) return 'agent-without-notice';
  const number = normaliseNumber(outside);
  if (facts.privateLines?.some((line) => normaliseNumber(line) === number) === true) return 'private-line';
  return undefined;
}

/** The agent's id as the INVITE has it, written as numbers are: the list is looked up in the same form. */
export function agentOf(
  campaign: Campaign,
  call: CallParties,
  { header, extension }: AgentsConfig,
): string | undefined {
  const named = header === undefined ? undefined : call.header(header);
  if (named !== undefined && named.trim() !== '') return normaliseNumber(named);
  if (!extension) return undefined;
  return normaliseNumber(campaign.direction === 'inbound' ? call.called : call.caller);
}
