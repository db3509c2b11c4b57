/** Keeps sessions alive, and ends those whose peer is gone without a trace (RFC 4028 sections 7.4 and 10). */
import { randomInt } from 'node:crypto';
import type { Application } from './application.ts';
import { Attempts } from './attempts.ts';
import type { Dialog } from './dialog.ts';
import { newBranch, newId } from './ids.ts';
import { header } from './message.ts';
import type { Header } from './message.ts';
import { reinviteFacts } from './invite-facts.ts';
import { OutgoingInvite } from './outgoing-invite.ts';
import { minSeOf, proposeSession, sessionByAnswer } from './session-timer.ts';
import type { Session } from './session-timer.ts';
import type { Hop, Stack } from './stack.ts';

/** How a refresh ended: the peer's final response, or why there was none. */
type Outcome = { status: number; headers: readonly Header[] };

const busyRetryMs = 2_000;
const unreachableRetryMs = 10_000;

export class Sessions {
  readonly #stack: Stack;
  readonly #end: (dialog: Dialog, reason: string) => void;

  /** @param end hangs up and tells the application */
  constructor(stack: Stack, end: (dialog: Dialog, reason: string) => void) {
    this.#stack = stack;
    this.#end = end;
  }

  start(dialog: Dialog, session: Session | undefined): void {
    if (dialog.state !== 'confirmed') return;
    dialog.session.arm(
      this.#stack,
      session,
      () => this.#refresh(dialog),
      () => this.#expire(dialog, 'Session timer expired'),
    );
  }

  #expire(dialog: Dialog, reason: string): void {
    if (dialog.state === 'confirmed') this.#end(dialog, reason);
  }

  #refresh(dialog: Dialog): void {
    const { session } = dialog.session;
    if (dialog.state !== 'confirmed' || !session) return;
    if (isBusy(dialog)) {
      this.#again(dialog, busyRetryMs);
      return;
    }
    const sdp = dialog.offers.local;
    if (!session.byProbe && dialog.allowsUpdate) this.#ask(dialog, 'UPDATE', session);
    else if (!session.byProbe && sdp !== undefined) this.#reinvite(dialog, session, sdp);
    else this.#ask(dialog, 'OPTIONS', session);
  }

  #again(dialog: Dialog, delayMs: number): void {
    dialog.session.refreshIn(this.#stack, delayMs, () => this.#refresh(dialog));
  }

  #ask(dialog: Dialog, method: 'UPDATE' | 'OPTIONS', session: Session): void {
    const branch = newBranch();
    const headers: Header[] = [];
    if (method === 'UPDATE') {
      proposeSession(headers, this.#stack.session, session);
      headers.push(header('Contact', dialog.contact));
      dialog.updateOut = true;
    }
    const { text, nextHop } = dialog.compose(method, branch, headers, '');
    const came = (outcome: Outcome) => {
      dialog.updateOut = false;
      this.#refreshed(dialog, method, outcome);
    };
    const send = ([first, ...others]: readonly Hop[]) => {
      if (!first) {
        came({ status: 503, headers: [] });
        return;
      }
      const attempts = new Attempts(
        this.#stack,
        { id: newId(), branch, method, text, ackFor: () => '' },
        [first, ...others],
        {
          onResponse: (response) => {
            if (response.status < 200) return;
            if (response.status < 300 && method === 'UPDATE') dialog.refreshTarget(response, undefined);
            came(response);
          },
          onNoResponse: ({ status }) => came({ status, headers: [] }),
          onEnded: () => undefined,
        },
      );
      attempts.start();
    };
    this.#stack.locate(nextHop, send, dialog.natAddress, dialog.listener);
  }

  /** A re-INVITE with the description as it was: nothing changes, and the application hears nothing. */
  #reinvite(dialog: Dialog, session: Session, sdp: string): void {
    const branch = newBranch();
    const headers = [header('Contact', dialog.contact), header('Content-Type', 'application/sdp')];
    proposeSession(headers, this.#stack.session, session);
    const composed = dialog.compose('INVITE', branch, headers, sdp);
    const owner = quiet((outcome) => {
      if (outcome.status < 300) dialog.toAcknowledge?.acknowledge([], '');
      this.#refreshed(dialog, 'INVITE', outcome);
    });
    const facts = reinviteFacts(dialog, owner, branch, composed, sdp);
    const send = ([first, ...others]: readonly Hop[]) => {
      if (!first) {
        this.#refreshed(dialog, 'INVITE', { status: 503, headers: [] });
        return;
      }
      const nothing = () => undefined;
      const user = { bye: nothing, answered: nothing, over: nothing, startSession: nothing };
      new OutgoingInvite(this.#stack, newId(), { ...facts, hops: [first, ...others] }, user).start();
    };
    this.#stack.locate(composed.nextHop, send, dialog.natAddress, dialog.listener);
  }

  /** RFC 3261 section 14.1: only silence, 408 and 481 say that the dialog is gone; all else is a sign of life. */
  #refreshed(dialog: Dialog, method: 'UPDATE' | 'OPTIONS' | 'INVITE', outcome: Outcome): void {
    const { session } = dialog.session;
    if (dialog.state !== 'confirmed' || !session) return;
    const { status } = outcome;
    if (status === 408 || status === 481) {
      this.#expire(dialog, 'no answer to a session refresh');
    } else if (status === 503) this.#again(dialog, unreachableRetryMs);
    else if (status === 491) this.#again(dialog, glareDelayMs(dialog));
    else if (method === 'UPDATE' && (status === 405 || status === 501)) {
      dialog.allowsUpdate = false;
      this.#refresh(dialog);
    } else if (status === 422) {
      const seconds = Math.max(session.seconds, minSeOf(outcome) ?? 0);
      if (seconds > session.seconds) {
        this.start(dialog, { ...session, seconds });
        this.#refresh(dialog);
      } else this.#again(dialog, busyRetryMs);
    } else {
      const agreed =
        status < 300 && method !== 'OPTIONS' ? sessionByAnswer(outcome, this.#stack.session) : session;
      this.start(dialog, agreed);
    }
  }
}

function isBusy(dialog: Dialog): boolean {
  const { inviteIn, inviteOut, updateIn, updateOut, answered, toAcknowledge, offers } = dialog;
  const open = inviteIn ?? inviteOut ?? answered ?? toAcknowledge ?? offers.open;
  return open !== undefined || updateIn || updateOut;
}

/** RFC 3261 section 14.1: the owner of the Call-ID waits longer than the other side, so that they part. */
function glareDelayMs({ id, localTag }: Dialog): number {
  const owner = id.endsWith(`;from-tag=${localTag}`);
  return owner ? randomInt(210, 401) * 10 : randomInt(0, 201) * 10;
}

/** Stands where the application would: takes the final response, and tells nobody. */
function quiet(ended: (outcome: Outcome) => void): Application {
  const nothing = () => undefined;
  return {
    alive: true,
    newRequest: nothing,
    message: (message) => {
      if (message.kind === 'response' && message.status >= 200) ended(message);
    },
    madeUp: (text) => ended({ status: Number(text.slice(8, 11)), headers: [] }),
    ownRequest: nothing,
    requestSent: nothing,
    responseSent: nothing,
    refuse: nothing,
  };
}
