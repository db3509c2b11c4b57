/** Orders over the API: stop switches, calls in progress, agents, objections. */
import { z } from 'zod';
import type { CallId } from '../../config/units.ts';
import type { Order } from '../call/registry.ts';
import { agentFacts, stopScope } from '../campaigns/changes.ts';
import { everyPurpose } from '../campaigns/state.ts';
import type { ConsoleParts } from './parts.ts';
import { RequestRefused } from './problem.ts';
import { authorOf, route, type Route } from './route.ts';

const reason = z.string().min(1).describe('why: it goes into the ledger');

const stopShown = z.object({
  id: z.string(),
  scope: stopScope,
  by: z.string(),
  at: z.string(),
  reason: z.string().optional(),
  until: z.string().optional(),
});

export function stopRoutes({ live, clock }: ConsoleParts): Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/stops',
      scope: 'read',
      does: 'Stops that hold now.',
      answer: z.object({ stops: z.array(stopShown) }),
      handle: () => ({ body: { stops: live.state.stops(clock()) } }),
    }),
    route({
      method: 'POST',
      path: '/v1/stops',
      scope: 'campaigns:write',
      does: 'Nothing of a campaign, a site or at all is drawn from the next call on; for some minutes, or until resumed.',
      body: z.strictObject({ scope: stopScope, minutes: z.number().gt(0).max(527_040).optional(), reason }),
      answer: stopShown,
      handle: async ({ body: { scope, minutes, reason: why }, by }) => {
        const until = minutes === undefined ? undefined : new Date(clock().getTime() + minutes * 60_000);
        const id = await live.stop(authorOf(by, why), scope, until);
        return { status: 201, body: live.state.stops(clock()).find((stop) => stop.id === id) };
      },
    }),
    route({
      method: 'DELETE',
      path: '/v1/stops/{stop}',
      scope: 'campaigns:write',
      does: 'Ends a stop: calls are drawn again.',
      params: z.strictObject({ stop: z.string() }),
      handle: async ({ params, by }) => {
        await live.resume({ by }, params.stop);
        return { status: 204 };
      },
    }),
  ];
}

const verb = z.enum(['record', 'pause', 'resume', 'stop']);

export function callRoutes({ calls, live }: ConsoleParts): Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/calls',
      scope: 'read',
      does: 'Calls in progress at this agent.',
      answer: z.object({
        calls: z.array(
          z.object({
            call: z.string(),
            campaign: z.string().optional(),
            direction: z.enum(['inbound', 'outbound']),
            since: z.number().describe('microseconds since 1970'),
            state: z.enum(['setting-up', 'passing', 'telling', 'recording', 'paused', 'unrecorded']),
          }),
        ),
      }),
      handle: () => ({ body: { calls: calls.list() } }),
    }),
    route({
      method: 'POST',
      path: '/v1/calls/{call}/{verb}',
      scope: 'calls:control',
      does: 'Records a call from now on (its outside party is told first), pauses, resumes or stops the recording; answered when it is done.',
      params: z.strictObject({ call: z.string(), verb }),
      body: z.strictObject({ reason }),
      answer: z.object({ done: z.literal(true) }),
      handle: async ({ params, body, by }) => {
        const found = calls.list().find(({ call }) => call === params.call);
        if (found === undefined)
          throw new RequestRefused(404, 'unknown-call', `there is no call ${params.call} in progress here`);
        const stopped = found.campaign === undefined ? undefined : live.stopOf(found.campaign);
        if (stopped !== undefined && params.verb === 'record')
          throw new RequestRefused(409, 'stopped', `${stopped.by} has stopped recording`);
        const order: Order = { by, reason: body.reason };
        const obeyed = await give(calls, found.call, params.verb, order);
        if (!obeyed.done) throw new RequestRefused(409, 'not-done', obeyed.why);
        return { body: obeyed };
      },
    }),
  ];
}

function give(calls: ConsoleParts['calls'], call: CallId, given: z.infer<typeof verb>, order: Order) {
  return calls[given](call, order);
}

export function agentRoutes({ live }: ConsoleParts): Route[] {
  const byAgent = z.strictObject({ agent: z.string().min(1) });
  const list = (): object => ({
    agents: [...live.state.agents].map(([agent, facts]) => ({ agent, ...facts })),
  });
  return [
    route({
      method: 'GET',
      path: '/v1/agents',
      scope: 'read',
      does: 'Agents on the list: protected ones, notice dates, private lines, bands.',
      answer: z.object({ agents: z.array(agentFacts.extend({ agent: z.string() })) }),
      handle: () => ({ body: list() }),
    }),
    route({
      method: 'PATCH',
      path: '/v1/agents/{agent}',
      scope: 'campaigns:write',
      does: 'Puts an agent on the list, or changes what is given.',
      params: byAgent,
      body: agentFacts.extend({ reason: reason.optional() }),
      handle: async ({ params, body: { reason: why, ...facts }, by }) => {
        await live.setAgent(authorOf(by, why), params.agent, facts);
        return { body: list() };
      },
    }),
    route({
      method: 'DELETE',
      path: '/v1/agents/{agent}',
      scope: 'campaigns:write',
      does: 'Takes an agent off the list: not recorded any more, unless unknown agents are.',
      params: byAgent,
      handle: async ({ params, by }) => {
        await live.removeAgent({ by }, params.agent);
        return { status: 204 };
      },
    }),
  ];
}

export function objectionRoutes({ live }: ConsoleParts): Route[] {
  const objection = z.strictObject({
    number: z.string().min(3),
    purpose: z.string().min(1).default(everyPurpose).describe('of a campaign; left out: every purpose'),
  });
  return [
    route({
      method: 'POST',
      path: '/v1/objections',
      scope: 'objections',
      does: 'A person objects: never drawn again for the purpose. Only a salted hash is kept.',
      body: objection.extend({ reason: reason.optional() }),
      answer: z.object({ hash: z.string() }),
      handle: async ({ body, by }) => ({
        status: 201,
        body: { hash: await live.object(authorOf(by, body.reason), body.number, body.purpose) },
      }),
    }),
    route({
      method: 'POST',
      path: '/v1/objections/check',
      scope: 'objections',
      does: 'Whether a person objects to a purpose.',
      body: objection,
      answer: z.object({ objects: z.boolean() }),
      handle: ({ body }) => ({ body: { objects: live.state.objects(body.number, body.purpose) } }),
    }),
    route({
      method: 'POST',
      path: '/v1/objections/lift',
      scope: 'objections',
      does: 'The person has taken the objection back.',
      body: objection.extend({ reason }),
      handle: async ({ body, by }) => {
        await live.liftObjection(authorOf(by, body.reason), body.number, body.purpose);
        return { status: 204 };
      },
    }),
  ];
}
