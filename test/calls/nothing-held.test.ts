/** What calls leave behind in a running agent: no object of theirs, no listener, no timer besides those of SIP transactions. */
import { EventEmitter, getEventListeners } from 'node:events';
import { Session } from 'node:inspector/promises';
import { expect, test } from 'vitest';
import { Recording } from '../../agent/call/recording.ts';
import type { Tacet } from '../../agent/main.ts';
import { Invite } from '../../agent/sip/invite.ts';
import { Leg } from '../../agent/sip/leg.ts';
import { callAudio } from '../peers/pcap.ts';
import { Sipp, type CallerScenario } from '../peers/sipp.ts';
import { promptMs, selectingSite } from './selecting-site.ts';

const ofCalls = { Invite, Leg, Recording };

interface Held {
  /** Objects of calls that something still reaches, by class. */
  objects: Record<string, number>;
  listeners: number;
  /** Timers of this process besides those that the SIP server counts. */
  timers: number;
}

/** An object of the heap as the inspector names it. */
interface RemoteObject {
  objectId?: string;
  value?: unknown;
}

type Answer = Partial<Record<'result' | 'objects', RemoteObject>>;

/** The heap of this process, looked at from within after a collection. */
class Heap implements Disposable {
  readonly #session = new Session();

  constructor() {
    this.#session.connect();
  }

  /** Sums up `measure` over every object that has this prototype and can be reached. */
  async sum(prototype: object, measure: (one: never) => number): Promise<number> {
    Object.assign(globalThis, { heapPrototype: prototype, heapMeasure: measure });
    const asked = await this.#ask('Runtime.evaluate', { expression: 'heapPrototype' });
    const found = await this.#ask('Runtime.queryObjects', { prototypeObjectId: asked.result!.objectId });
    const sum = await this.#ask('Runtime.callFunctionOn', {
      objectId: found.objects!.objectId,
      functionDeclaration: 'function () { return this.reduce((sum, one) => sum + heapMeasure(one), 0); }',
      returnByValue: true,
    });
    await this.#ask('Runtime.releaseObject', { objectId: found.objects!.objectId });
    return sum.result!.value as number;
  }

  #ask(method: string, params: object): Promise<Answer> {
    // Its types name each method; those used here have answers like this.
    const post = this.#session.post.bind(this.#session) as unknown as (
      ...asked: unknown[]
    ) => Promise<Answer>;
    return post(method, params);
  }

  [Symbol.dispose](): void {
    this.#session.disconnect();
  }
}

async function heldBy(tacet: Tacet, heap: Heap): Promise<Held> {
  const objects: Record<string, number> = {};
  for (const [name, { prototype }] of Object.entries(ofCalls))
    objects[name] = await heap.sum(prototype, () => 1);
  const emitted = await heap.sum(EventEmitter.prototype, listenersOf);
  const aborted = await heap.sum(
    AbortSignal.prototype,
    (one: AbortSignal) => getEventListeners(one, 'abort').length,
  );
  const timers = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  return { objects, listeners: emitted + aborted, timers: timers - tacet.sipServer!.statistics().timers };
}

/** By the base class: some of those that inherit from it count otherwise. */
function listenersOf(one: EventEmitter): number {
  const { prototype } = EventEmitter;
  const names = prototype.eventNames.call(one);
  return names.reduce<number>((sum, name) => sum + prototype.listenerCount.call(one, name), 0);
}

/** Transactions outlive their call by 32 s, and hold no object of it. */
test('after calls that were recorded, or passed with a hold, a running agent holds no object, listener or timer of theirs', async () => {
  await using site = await selectingSite();
  await using tacet = await site.start();
  await using _pbx = await Sipp.start({ scenario: 'pbx-answers', port: site.pbxPorts[0]!, quiet: true });
  using heap = new Heap();
  const calls = async (scenario: CallerScenario, service: string, port: number, times: number) => {
    await using caller = await Sipp.start({
      scenario,
      target: { port: site.sipPort },
      port,
      service,
      calls: times,
      limit: times,
      rate: 10,
      keys: { talk_ms: promptMs + 500 },
      audio: callAudio({ durationMs: 1_500 }),
      quiet: true,
    });
    const result = await caller.finished();
    expect(result.exitCode, result.errors + result.output.slice(-1_000)).toBe(0);
  };
  const both = async (times: number): Promise<void> => {
    const { carrierPort, otherCarrierPort } = site;
    await Promise.all([
      calls('caller-call', '+33800000001', carrierPort, times),
      calls('caller-holds', '+33900000001', otherCarrierPort, times),
    ]);
    await expect.poll(() => tacet.callsInProgress).toBe(0);
  };
  await both(1);
  const before = await heldBy(tacet, heap);
  await both(5);
  const { objects, listeners } = before;
  // The poll itself has a timer.
  await expect.poll(() => heldBy(tacet, heap), { timeout: 20_000 }).toMatchObject({ objects, listeners });
  expect(await heldBy(tacet, heap)).toEqual(before);
  expect(before.objects).toEqual(Object.fromEntries(Object.keys(ofCalls).map((name) => [name, 0])));
});
