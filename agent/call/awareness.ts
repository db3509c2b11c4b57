/**
 * Whoever is on the agent's side sees whether the call is recorded, where its peer wants to be told: `a=record` in our SDP (RFC 7866 section
 * 6.2), by a re-INVITE at each change and in every description of ours after it.
 */
import { messageOf } from '../../config/errors.ts';
import type { RecordingIndication } from '../../media/plane.ts';
import type { Leg } from '../sip/leg.ts';
import type { Pair } from './legs.ts';
import type { CallState } from './registry.ts';
import { accepts, type SelectedCall } from './selected.ts';

export class Awareness {
  readonly #call: SelectedCall;
  readonly #pair: Pair;
  #told: { leg: Leg; indication: RecordingIndication } | undefined;

  constructor(call: SelectedCall, pair: Pair) {
    this.#call = call;
    this.#pair = pair;
  }

  /** Tells beside the conversation, which does not wait; nobody is told that nothing has begun. */
  tell(state: CallState): void {
    const leg = this.#pair.legs.agent;
    if (!leg.peer.recordAware) return;
    const indication = state === 'recording' ? 'on' : state === 'paused' ? 'paused' : 'off';
    const known = this.#told?.leg === leg ? this.#told.indication : 'off';
    if (known === indication) return;
    this.#told = { leg, indication };
    this.#call.media.agent.indication = indication;
    void this.#reinvite().catch((error: unknown) => {
      const { invite, house } = this.#call;
      house.log.warn({ call: invite.call, indication, why: messageOf(error) }, 'the agent was not told');
    });
  }

  async #reinvite(): Promise<void> {
    const { media } = this.#call;
    await this.#pair.inTurn(async () => {
      const direction = media.caller.remoteDirection;
      const offer = await media.agent.offer(direction);
      const { status, sdp } = await this.#pair.insist('agent', { method: 'INVITE', offer });
      if (status < 300 && sdp !== undefined) await accepts(media.agent, sdp);
    });
  }
}
