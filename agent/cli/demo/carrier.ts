import { pause } from './pause.ts';
import { planCalls, type Destination, type Mix, type PlannedCall, type Script } from './plan.ts';
import { RtpLine } from './rtp-line.ts';
import type { Address } from './sip-transactions.ts';
import type { OutgoingCall } from './telephone-call.ts';
import { UserAgent } from './user-agent.ts';

export interface CarrierOptions {
  /** Where the calls go: Tacet. */
  target: Address;
  destinations: readonly Destination[];
  calls: number;
  callsPerSecond: number;
  mix: Mix;
  seed: number;
  /** What the callers say, A-law. */
  speech: Uint8Array;
  /**
   * The telephone that the calls are placed with: open it first where its port must be known beforehand, as a trunk's is
   * to Tacet. Left out, one is opened and closed here.
   */
  telephone?: UserAgent;
  times?: Partial<CallerTimes>;
  /** Resolves when an agent has picked up this caller's call (`DemoPbx.pickedUp`); left out, the answer counts. */
  pickedUp?: (caller: string) => Promise<void>;
  /** Stops placing calls, and hangs up those that are up. */
  signal?: AbortSignal;
}

export interface CallerTimes {
  /** How long a caller talks once somebody is there. */
  talkMs: number;
  /** How long after the answer a refuser presses 2. */
  refuseAfterMs: number;
  /** How long an impatient caller lets it go on. */
  abandonAfterMs: number;
  /** How long anyone stays for an agent who never comes. */
  patienceMs: number;
}

const usualTimes: CallerTimes = {
  talkMs: 4_000,
  refuseAfterMs: 1_500,
  abandonAfterMs: 400,
  patienceMs: 20_000,
};

export interface CallResult {
  script: Script;
  campaign: string;
  called: string;
  caller: string;
  callId: string;
  /** Final SIP status; 487 for a call that the caller gave up. */
  status: number;
  answered: boolean;
  hungUpBy: 'caller' | 'callee' | undefined;
  rtpSent: number;
  rtpReceived: number;
}

/** The telephone network: people call the call centre, one after another and many at once. Yields each call as it ends. */
export async function* runCarrier(options: CarrierOptions): AsyncGenerator<CallResult, void, undefined> {
  const planned = planCalls(options);
  await using own = options.telephone === undefined ? await UserAgent.open() : undefined;
  const telephone = options.telephone ?? own!;
  const stopped = new AbortController();
  const signal = AbortSignal.any([stopped.signal, ...(options.signal === undefined ? [] : [options.signal])]);
  const finished: CallResult[] = [];
  const running = new Set<Promise<void>>();
  let wake = Promise.withResolvers<undefined>();

  const track = (work: Promise<void>): void => {
    const tracked = work.finally(() => {
      running.delete(tracked);
      wake.resolve(undefined);
    });
    running.add(tracked);
  };
  const placeAll = async (): Promise<void> => {
    const startedAt = performance.now();
    for (const [index, call] of planned.entries()) {
      await pause(startedAt + (index * 1_000) / options.callsPerSecond - performance.now(), signal);
      if (signal.aborted) return;
      track(placeCall(telephone, call, options, signal).then((result) => void finished.push(result)));
    }
  };
  track(placeAll());

  try {
    while (running.size > 0 || finished.length > 0) {
      yield* finished.splice(0);
      if (running.size > 0) await wake.promise;
      wake = Promise.withResolvers();
    }
  } finally {
    // The reader may have stopped reading: nobody stays on the line for that.
    stopped.abort();
    await Promise.all(running);
  }
}

/** One person's call, from dialling to hanging up. */
async function placeCall(
  telephone: UserAgent,
  plan: PlannedCall,
  options: CarrierOptions,
  signal: AbortSignal,
): Promise<CallResult> {
  const times = { ...usualTimes, ...options.times };
  await using line = await RtpLine.open(telephone.address);
  const { called, caller } = plan;
  const call = telephone.call({ target: options.target, called, caller, offer: line.offer() });
  call.onEarlyMedia((sdp) => line.heed(sdp));
  line.speak(options.speech);

  const done = new AbortController();
  const leaving = leave(call, plan.script, times, AbortSignal.any([done.signal, signal]));
  const answer = await call.answer;
  const answered = answer.status < 300;
  let hungUpBy: CallResult['hungUpBy'];
  if (answered) {
    line.heed(answer.sdp);
    call.onOffer((offer) => line.answer(offer));
    const over = new AbortController();
    const ended = call.ended.then((by) => {
      over.abort();
      return by === 'us' ? ('caller' as const) : ('callee' as const);
    });
    if (plan.script !== 'abandon') {
      await converse(line, plan, options, times, AbortSignal.any([over.signal, signal]));
      await call.hangUp();
    }
    hungUpBy = await ended;
  }
  done.abort();
  await leaving;
  return {
    ...plan,
    callId: call.callId,
    status: answer.status,
    answered,
    hungUpBy,
    rtpSent: line.sent,
    rtpReceived: line.received,
  };
}

/** Hangs up before its time: the impatient after a moment, everybody when the demo is stopped. */
async function leave(
  call: OutgoingCall,
  script: Script,
  times: CallerTimes,
  signal: AbortSignal,
): Promise<void> {
  await pause(script === 'abandon' ? times.abandonAfterMs : Infinity, signal);
  // Of a call that is over already, nothing is left to hang up.
  await call.hangUp();
}

/** Talks until one has talked enough, the other side hangs up, or no agent comes. */
async function converse(
  line: RtpLine,
  plan: PlannedCall,
  options: CarrierOptions,
  times: CallerTimes,
  over: AbortSignal,
): Promise<void> {
  if (plan.script === 'refuser') {
    await pause(times.refuseAfterMs, over);
    if (!over.aborted) await line.press('2');
  }
  if (options.pickedUp !== undefined) {
    const patience = new AbortController();
    const came = options.pickedUp(plan.caller).then(() => patience.abort());
    await Promise.race([came, pause(times.patienceMs, AbortSignal.any([over, patience.signal]))]);
    patience.abort();
  }
  await pause(times.talkMs, over);
}
