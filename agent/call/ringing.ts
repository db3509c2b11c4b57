/** While the agent's telephone rings: what a caller hears to whom we have spoken already. */
import type { Dialled } from '../sip/edge.ts';
import { answerEarly } from './crossing.ts';
import { after } from './first-of.ts';
import { callRoute } from './routes.ts';
import type { SelectedCall } from './selected.ts';

/** Early media that has said nothing for so long has stopped: a 180 then means what it says. */
const silentMs = 1_000;
const lookEveryMs = 100;

/** Calls the PBXs of the route; meanwhile the caller hears our ringing, or what a PBX plays before it answers. */
export async function ringAgent(call: SelectedCall, ended: AbortSignal): Promise<Dialled> {
  const { invite, media, house } = call;
  await using heard = new Meanwhile(call, ended);
  return await callRoute(invite, house, {
    body: async (to) => ({ sdp: await media.agent.offer(undefined, to.srtp) }),
    onUpdate: answerEarly(media, 'agent', () => heard.settled),
    onProgress: (status, sdp) => {
      if (sdp !== undefined) heard.early(sdp);
      else if (status === 180) heard.rings();
    },
    onRetry: () => heard.again(),
    ended,
  });
}

/** What the caller hears until somebody answers: one thing after the other, never two at once. */
class Meanwhile implements AsyncDisposable {
  readonly #call: SelectedCall;
  readonly #ended: AbortSignal;
  readonly #over = new AbortController();
  #tone: { hush: AbortController; playing: Promise<void> } | undefined;
  /** Looks whether early media goes on, from a 180 after it on. */
  #listening: { enough: AbortController; done: Promise<void> } | undefined;
  #last = Promise.resolve();

  constructor(call: SelectedCall, ended: AbortSignal) {
    this.#call = call;
    this.#ended = ended;
    this.#ring();
  }

  /** What the PBX said so far has been taken up. */
  get settled(): Promise<void> {
    return this.#last;
  }

  /** The PBX has a description: its sound takes the place of our ringing. */
  early(sdp: string): void {
    this.#listening?.enough.abort();
    this.#then(async () => {
      await this.#listening?.done;
      await this.#call.media.agent.accept(sdp);
      await this.#letThrough();
    });
  }

  /** A 180 without a description: ringing, unless early media goes on. */
  rings(): void {
    this.#then(async () => {
      if (this.#tone !== undefined || this.#listening?.enough.signal.aborted === false) return;
      const enough = new AbortController();
      const over = AbortSignal.any([enough.signal, this.#over.signal, this.#ended]);
      this.#listening = { enough, done: this.#alternate(over).catch(this.#unusable) };
    });
  }

  /** Another PBX is tried: what the former one played is over. */
  async again(): Promise<void> {
    this.#listening?.enough.abort();
    this.#then(async () => {
      await this.#listening?.done;
      await this.#call.media.disconnect();
      this.#ring();
    });
    await this.#last;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    await this.#last;
    await this.#listening?.done;
    await this.#tone?.playing;
  }

  async #alternate(over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      const silent = await this.#isSilent();
      if (!over.aborted && silent === (this.#tone === undefined)) {
        if (silent) {
          await this.#call.media.disconnect();
          this.#ring();
        } else await this.#letThrough();
      }
      await after(lookEveryMs)(over);
    }
  }

  async #isSilent(): Promise<boolean> {
    const { media, house } = this.#call;
    const { lastPacketAt } = (await media.statistics()).agent;
    return lastPacketAt === undefined || house.now() - lastPacketAt > silentMs * 1_000;
  }

  #ring(): void {
    const { media, house } = this.#call;
    const hush = new AbortController();
    const over = AbortSignal.any([hush.signal, this.#over.signal, this.#ended]);
    const tone = { plan: house.config.sip.ringingTone, kind: 'ringing' } as const;
    if (this.#tone === undefined) this.#tone = { hush, playing: media.caller.playTone(tone, over) };
  }

  async #letThrough(): Promise<void> {
    const ringing = this.#tone;
    this.#tone = undefined;
    ringing?.hush.abort();
    await ringing?.playing;
    await this.#call.media.connect();
  }

  #then(turn: () => Promise<void>): void {
    this.#last = this.#last.then(turn).catch(this.#unusable);
  }

  readonly #unusable = (error: unknown): void => {
    const { invite, house } = this.#call;
    house.log.warn({ call: invite.call, err: error }, 'early media not usable');
  };
}
