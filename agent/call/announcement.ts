/** Play and listen: how the refusal window ends (I1, I2). */
import type { Campaign } from '../../config/schema.ts';
import type { EpochMicros } from '../../config/units.ts';
import type { MediaSide, Played } from '../../media/plane.ts';
import type { Prompt } from '../../media/prompts/prompt.ts';
import type { ListenedTo } from '../../media/voice/voices.ts';
import type { Consent, Refusal } from '../ledger/ledger.ts';
import type { Keypad } from './keys.ts';
import type { CampaignRule } from './rules.ts';
import { after, firstOf, whenAborted } from './first-of.ts';

const never = new AbortController().signal;

/**
 * Listens for the protected party's refusal keys from the first packet to the end of the call. The signal aborts once,
 * with a `Refusal` as reason; a refusal is never taken back.
 *
 * @param since keys from before are another party's: of one who comes in later
 */
export function hearRefusal(
  keypad: Keypad,
  keys: Campaign['refusalKeys'],
  since = 0 as EpochMicros,
): RefusalWatch {
  const heard = new AbortController();
  const listening = new DisposableStack();
  let kept: Pick<ListenedTo, 'heardOut' | typeof Symbol.dispose> | undefined;
  const joined: RefusalWatch[] = [];
  listening.use(
    keypad.onDigit(({ digit, at }) => {
      if (at >= since && keys.includes(digit)) heard.abort({ by: 'key', digit, at } satisfies Refusal);
    }),
  );
  return {
    refused: heard.signal,
    keypad,
    traced: false,
    acknowledged: false,
    declined: false,
    get refusal() {
      return heard.signal.aborted ? (heard.signal.reason as Refusal) : undefined;
    },
    refuse: (refusal) => heard.abort(refusal),
    keep(listener) {
      kept?.[Symbol.dispose]();
      kept = listener;
    },
    async heardOut() {
      await Promise.all([kept?.heardOut(), ...joined.map((other) => other.heardOut())]);
    },
    join(other) {
      listening.use(other);
      joined.push(other);
      const refuse = (): void => heard.abort(other.refusal);
      if (other.refused.aborted) refuse();
      else other.refused.addEventListener('abort', refuse, { once: true });
    },
    [Symbol.dispose]: () => {
      kept?.[Symbol.dispose]();
      listening.dispose();
    },
  };
}

export interface RefusalWatch extends Disposable {
  readonly refused: AbortSignal;
  readonly refusal: Refusal | undefined;
  /** The protected party's keys. */
  readonly keypad: Keypad;
  /** Whether the ledger has it. */
  traced: boolean;
  /** Whether the party was told that its refusal was heard. */
  acknowledged: boolean;
  /** Whether the party was asked for a yes and gave none: nobody asks twice to turn a no into a yes. */
  declined: boolean;
  /** A refusal that was heard by other means than keys. */
  refuse(refusal: Refusal): void;
  /** Whoever listens for refusals by other means, until the call ends or another one does. */
  keep(listener: Pick<ListenedTo, 'heardOut' | typeof Symbol.dispose>): void;
  /** The call is over: resolves when a refusal that was said in its last moment has been understood, two seconds later at most. */
  heardOut(): Promise<void>;
  /** From now on the refusal of another protected party is one of the call, until its end; the other ends with this. */
  join(other: RefusalWatch): void;
}

/**
 * Listens for a yes, where the law asks for one. The signal aborts once, with a `Consent` as reason. Keys from before the
 * question was asked are no answer to it.
 */
export function hearConsent(
  keypad: Keypad,
  keys: Campaign['consentKeys'],
  askedAt: EpochMicros,
): Disposable & { consented: AbortSignal } {
  const heard = new AbortController();
  const listening = keypad.onDigit(({ digit, at }) => {
    if (at >= askedAt && keys.includes(digit)) heard.abort({ by: 'key', digit, at } satisfies Consent);
  });
  return { consented: heard.signal, [Symbol.dispose]: () => listening[Symbol.dispose]() };
}

/** How the announcement went. Only `told` allows a recording; with a `consent` where one was asked for. */
export type Announced =
  | { kind: 'told'; played: Played; consent: Consent | undefined }
  /** Asked, and nobody said yes: silence is a no (I2). */
  | { kind: 'no-consent'; played: Played }
  | { kind: 'refused'; played: Played | undefined }
  | { kind: 'not-told'; played: Played }
  | { kind: 'ended' };

export interface Announcement {
  prompt: Prompt;
  /** Time to refuse after the prompt's end, milliseconds. */
  graceMs: number;
  /** Keys by which the party hears it once more. */
  repeatKeys: Campaign['repeatKeys'];
  /** Where only a clear yes allows a recording: its keys, and the time for it after the prompt's end. */
  question?: { keys: Campaign['consentKeys']; graceMs: number; askedAt: EpochMicros } | undefined;
}

/** What is played under a rule, and what is waited for. */
export function announcementOf(
  { campaign, constraint, prompt }: CampaignRule,
  askedAt: EpochMicros,
): Announcement {
  const { graceMs, consentGraceMs } = campaign.announcement;
  const question =
    constraint.mode === 'consent'
      ? { keys: campaign.consentKeys, graceMs: consentGraceMs, askedAt }
      : undefined;
  return { prompt, graceMs, question, repeatKeys: campaign.repeatKeys };
}

/** How often a party may have it played once more. */
const mostRepeats = 3;

/**
 * Plays the announcement and leaves its window open for the grace; a refusal or the end of the call cuts it short, a yes
 * to a question ends it once the question was heard to its end. What was not heard to its end (a hold, a re-INVITE, a stream
 * that broke off) is played once more, from its beginning; cut short again, the party was not told (I1).
 */
export async function announce(
  side: MediaSide,
  { prompt, graceMs, question, repeatKeys }: Announcement,
  watch: RefusalWatch,
  ended: AbortSignal,
  voice?: ListenedTo,
): Promise<Announced> {
  using yes = question && hearConsent(watch.keypad, question.keys, question.askedAt);
  using again = hearRepeat(watch.keypad, repeatKeys);
  for (let cutShort = 0; ;) {
    voice?.plays(prompt);
    const playing = await firstOf({
      played: (over) => side.play(prompt, over),
      repeat: again.asked,
      refused: whenAborted(watch.refused),
      ended: whenAborted(ended),
    });
    if (ended.aborted) return { kind: 'ended' };
    if (playing.won === 'refused' || watch.refused.aborted) {
      return { kind: 'refused', played: playing.won === 'played' ? playing.value : undefined };
    }
    if (playing.won === 'repeat') continue;
    const played = playing.value as Played;
    if (!played.complete) {
      cutShort += 1;
      if (cutShort === 1) continue;
      return { kind: 'not-told', played };
    }

    const grace = await firstOf({
      over: after(question?.graceMs ?? graceMs),
      repeat: again.asked,
      consented: whenAborted(yes?.consented ?? never),
      refused: whenAborted(watch.refused),
      ended: whenAborted(ended),
    });
    if (ended.aborted) return { kind: 'ended' };
    if (grace.won === 'refused' || watch.refused.aborted) return { kind: 'refused', played };
    if (grace.won === 'repeat') continue;
    if (yes === undefined) return { kind: 'told', played, consent: undefined };
    if (!yes.consented.aborted) return { kind: 'no-consent', played };
    return { kind: 'told', played, consent: yes.consented.reason as Consent };
  }
}

/** A racer that ends when the party asks to hear it once more; it never does when it has asked often enough. */
function hearRepeat(
  keypad: Keypad,
  keys: Campaign['repeatKeys'],
): Disposable & { asked: (over: AbortSignal) => Promise<void> } {
  let repeats = 0;
  let wake: (() => void) | undefined;
  const listening = keypad.onDigit(({ digit }) => {
    if (wake === undefined || repeats === mostRepeats || !keys.includes(digit)) return;
    repeats += 1;
    wake();
  });
  return {
    asked: (over) =>
      new Promise((resolve) => {
        wake = resolve;
        over.addEventListener('abort', () => resolve(), { once: true });
      }),
    [Symbol.dispose]: () => listening[Symbol.dispose](),
  };
}
