/**
 * One INVITE of ours, initial or inside a dialog, from its first byte until nothing of it can come any more: forks,
 * acknowledgements, CANCEL.
 */
import { Attempts, readdressed } from './attempts.ts';
import type { Alarm } from './clock.ts';
import { Dialog } from './dialog.ts';
import { newBranch, newId } from './ids.ts';
import { withLongerSession } from './invite-facts.ts';
import type { InviteFacts, Tried } from './invite-facts.ts';
import { madeUpResponse } from './made-up.ts';
import { descriptionIn, header, headerOf, listOf, names, serialize } from './message.ts';
import type { Header, SipResponse } from './message.ts';
import { minSeOf, sessionByAnswer, sessionExpiresOf } from './session-timer.ts';
import type { Session } from './session-timer.ts';
import type { Hop, Stack } from './stack.ts';
import type { Address } from './transport.ts';

/** 64*T1 times this without a sign of life while it rings: nobody answers any more, so it is cancelled. */
const ringingBound = 20;

type Attempt = Tried & { sent: Attempts };

export interface InviteUser {
  /** Runs the session timer of a dialog by what was agreed on. */
  startSession(dialog: Dialog, session: Session | undefined): void;
  /** Sends a BYE of the server's own. */
  bye(dialog: Dialog, reason: string, tell: boolean): void;
  /** A final response has been delivered. */
  answered(): void;
  /** Nothing of this INVITE can come any more. */
  over(invite: OutgoingInvite): void;
}

export class OutgoingInvite {
  readonly id: string;
  #facts: Readonly<InviteFacts>;
  readonly #stack: Stack;
  readonly #user: InviteUser;
  #attempt: Attempt;
  /** Transactions that are not over: two for a while after a 422. */
  #open = 0;
  #provisional = false;
  #tried = false;
  #cancelled = false;
  #final = false;
  #heldCancel: (() => void) | undefined;
  #ringing: Alarm | undefined;
  /** RSeq of the last reliable provisional response that came in order, by fork. */
  readonly #rseq = new Map<string, number>();
  /** Tags of forks that sent a description in a reliable response. */
  readonly #described = new Set<string>();
  /** Tag of the first 2xx: the others are forks that nobody wants. */
  #winner: string | undefined;
  #ack: { text: string; hop: Hop } | undefined;

  /** @param id under which the application's requests and responses go */
  constructor(stack: Stack, id: string, facts: InviteFacts, user: InviteUser) {
    this.id = id;
    this.#facts = facts;
    this.#stack = stack;
    this.#user = user;
    this.#attempt = this.#transact(facts, this.#textOf(facts), id);
    if (facts.within) facts.within.inviteOut = { end: () => this.cancel(this.composeCancel([])) };
  }

  #transact(facts: Tried, text: string, id: string): Attempt {
    const { hops, listener, owner, dialogId } = this.facts;
    this.#open += 1;
    // Not `facts`: what these functions name is kept as long as they are.
    const ackFor = (response: SipResponse): string => this.#ackToFailure(this.#attempt, response);
    const sent = new Attempts(
      this.#stack,
      { id, branch: facts.branch, method: 'INVITE', text, ackFor },
      hops,
      {
        onResponse: (response, source) => this.#answered(response, source),
        onNoResponse: (why) => {
          this.#finished();
          owner.madeUp(madeUpResponse(this.#textOf(this.#attempt), why), listener, this.id, dialogId);
          this.#user.answered();
        },
        onEnded: () => {
          this.#open -= 1;
          if (this.#open > 0) return;
          this.#ringing?.cancel();
          this.#user.over(this);
        },
        cancelText: () => this.composeCancel([]),
        onLateAnswer: (response, source) =>
          this.#endFork(response, source, response.to.params.get('tag') ?? ''),
      },
    );
    return { ...facts, sent };
  }

  start(): void {
    this.facts.within?.offers.carried('ours', this.#description, true);
    this.#attempt.sent.start();
  }

  get #description(): string {
    return descriptionIn(this.facts);
  }

  get facts(): Readonly<InviteFacts> {
    return this.#facts;
  }

  #textOf({ headers }: Tried): string {
    const { requestUri, body } = this.#facts;
    return serialize(`INVITE ${requestUri} SIP/2.0`, headers, body);
  }

  /**
   * Lets go what only asking needed. For 64*T1 more a 2xx may come again, or from a fork: names and numbers are enough
   * to acknowledge it. Tries that were given up may still have to be cancelled, so with them all is kept.
   *
   * @param head what is left of it for a CANCEL that the application may yet ask for
   */
  #letGo(head: Header[]): void {
    if (!this.#attempt.sent.only) return;
    this.#facts = { ...this.#facts, headers: [], head, body: '' };
    this.#attempt = { ...this.#attempt, headers: [], head };
  }

  get final(): boolean {
    return this.#final;
  }

  /** CSeq of the last attempt. */
  get lastCseq(): number {
    return this.#attempt.cseq;
  }

  /** Whether a CANCEL of the application would still mean something. */
  get cancellable(): boolean {
    return !this.#final || this.#ack === undefined;
  }

  composeCancel(reasons: readonly Header[]): string {
    const { requestUri } = this.facts;
    const { head, cseq } = this.#attempt;
    const headers = [...head, header('CSeq', `${cseq} CANCEL`), ...reasons];
    return serialize(`CANCEL ${requestUri} SIP/2.0`, headers, '');
  }

  /** Sends the CANCEL as soon as RFC 3261 section 9.1 lets it: after the first provisional response. */
  cancel(text: string): void {
    if (this.#cancelled) return;
    this.#cancelled = true;
    if (this.#final) return;
    const send = () => this.#attempt.sent.cancel(text);
    if (this.#provisional) send();
    else this.#heldCancel = send;
  }

  #answered(response: SipResponse, source: Address): void {
    if (response.status < 200) {
      this.#progressed(response, source);
      return;
    }
    this.#ringing?.cancel();
    if (response.status >= 300) {
      if (response.status === 422 && this.#retriedLonger(response)) return;
      this.#finished();
      this.#deliver(response, source);
      this.#user.answered();
      this.#letGo(this.#attempt.head);
      return;
    }
    const tag = response.to.params.get('tag') ?? '';
    if (this.#winner === undefined) {
      this.#accepted(response, source, tag);
      this.#user.answered();
      return;
    }
    if (this.#winner !== tag) {
      this.#endFork(response, source, tag);
      return;
    }
    // Their 2xx again: our ACK got lost, or the application has not given it yet.
    if (this.#ack) {
      this.#stack.counted.retransmissions += 1;
      this.#ack.hop.listener.send(this.#ack.text, this.#ack.hop.target);
    }
  }

  #progressed(response: SipResponse, source: Address): void {
    this.#provisional = true;
    const held = this.#heldCancel;
    this.#heldCancel = undefined;
    held?.();
    if (this.#final) return;
    this.#ringing?.cancel();
    this.#ringing = this.#stack.after(ringingBound * this.#stack.giveUpMs, () =>
      this.cancel(this.composeCancel([])),
    );
    if (response.status === 100) {
      // The application learns already from it that somebody is there; drachtio-server keeps it back.
      if (!this.facts.within && !this.#tried) this.#deliver(response, source);
      this.#tried = true;
      return;
    }
    if (!this.#inOrder(response)) return;
    this.#early(response, source);
    this.#deliver(response, source);
  }

  /** RFC 3262 section 4: a reliable response that came before, or before its turn, is not acknowledged. */
  #inOrder(response: SipResponse): boolean {
    const rseq = headerOf(response, 'rseq');
    if (rseq === undefined || !names(response, 'require', '100rel')) return true;
    const tag = response.to.params.get('tag') ?? '';
    const last = this.#rseq.get(tag);
    if (last !== undefined && Number(rseq) !== last + 1) return false;
    this.#rseq.set(tag, Number(rseq));
    return true;
  }

  /**
   * RFC 4028 section 7.3: the interval was too small for somebody on the way. Asked again with what they demand; the
   * application does not hear of it.
   */
  #retriedLonger(response: SipResponse): boolean {
    const minSeconds = minSeOf(response);
    const asked = sessionExpiresOf({ headers: this.#attempt.headers })?.seconds;
    if (minSeconds === undefined || asked === undefined || asked >= minSeconds || this.#cancelled)
      return false;
    const { within } = this.facts;
    const branch = newBranch();
    const cseq = within ? within.nextSeq() : this.#attempt.cseq + 1;
    const tried = withLongerSession(this.#attempt, branch, cseq, minSeconds);
    this.#provisional = false;
    this.#attempt = this.#transact(tried, this.#textOf(tried), newId());
    this.#attempt.sent.start();
    return true;
  }

  /** @param status what the application is told: drachtio-srf takes no 2xx but 200 for a success */
  #deliver(response: SipResponse, source: Address, status = response.status): void {
    const { owner, listener, dialogId } = this.facts;
    owner.message({ ...response, status }, { source, listener }, this.id, dialogId);
  }

  #early(response: SipResponse, source: Address): void {
    const tag = response.to.params.get('tag');
    if (tag === undefined) return;
    const dialog = this.facts.within ?? this.#dialogWith(response, tag);
    if (!this.facts.within) dialog.refreshTarget(response, source);
    dialog.learn(response);
    const rseq = headerOf(response, 'rseq');
    if (rseq === undefined) return;
    dialog.reliableIn = { rseq: Number(rseq), cseq: response.cseq };
    this.#describe(dialog, response, tag);
  }

  /** A response that counts brings the answer, or the offer where we made none. */
  #describe(dialog: Dialog, response: SipResponse, tag: string): void {
    const description = descriptionIn(response);
    dialog.offers.carried('theirs', description, this.#description === '' && !this.#described.has(tag));
    if (description !== '') this.#described.add(tag);
  }

  /** The dialog with the side that has this tag, made when it is new. */
  #dialogWith(response: SipResponse, tag: string): Dialog {
    const { dialogId, callId, localTag, local, requestUri, contact, owner } = this.facts;
    const known = this.#stack.dialogs.find(callId, localTag, tag);
    if (known) return known;
    const used = this.#attempt.sent.hop?.listener;
    const listener = used && used.family !== this.facts.listener.family ? used : this.facts.listener;
    const dialog = new Dialog({
      id: dialogId,
      callId,
      localTag,
      remoteTag: tag,
      local,
      remote: headerOf(response, 'to') ?? '',
      localSeq: this.#attempt.cseq,
      remoteSeq: undefined,
      remoteTarget: requestUri,
      routeSet: listOf(response, 'record-route').reverse(),
      listener,
      contact: readdressed(contact, this.facts.listener, listener),
      owner,
    });
    dialog.offers.carried('ours', this.#description, true);
    this.#stack.dialogs.add(dialog);
    return dialog;
  }

  #accepted(response: SipResponse, source: Address, tag: string): void {
    const { owner, within } = this.facts;
    const dialog = within ?? this.#dialogWith(response, tag);
    this.#winner = tag;
    this.#final = true;
    dialog.inviteOut = undefined;
    if (within?.state === 'ended') {
      // The BYE was faster: nobody will acknowledge but us.
      this.#acknowledge(dialog, [], '', response);
      this.#deliver(response, source, 200);
      return;
    }
    // RFC 3261 section 13.2.2.4: the route set of the 2xx replaces that of an early dialog.
    if (!within && dialog.state === 'early') dialog.routeSet = listOf(response, 'record-route').reverse();
    dialog.state = 'confirmed';
    dialog.refreshTarget(response, source);
    dialog.learn(response);
    this.#describe(dialog, response, tag);
    if (this.#description !== '') dialog.offers.concluded('ours');
    this.#user.startSession(dialog, sessionByAnswer(response, this.#stack.session));
    if (!within) this.#dropForks(dialog);
    const acknowledge = (headers: readonly Header[], body: string): string =>
      this.#acknowledge(dialog, headers, body, response);
    const alarm = this.#stack.after(this.#stack.giveUpMs, () => {
      acknowledge([], '');
      this.#user.bye(dialog, 'no ACK from the application', true);
    });
    dialog.toAcknowledge = { acknowledge, alarm };
    if (owner.alive) this.#deliver(response, source, 200);
    else acknowledge([], '');
  }

  /** Sends the ACK to the 2xx, and what must follow it; gives its text. */
  #acknowledge(dialog: Dialog, headers: readonly Header[], body: string, response: SipResponse): string {
    const { within } = this.facts;
    const { text, nextHop } = dialog.compose('ACK', newBranch(), headers, body, this.#attempt.cseq);
    dialog.offers.carried('ours', body, false);
    dialog.offers.concluded('theirs');
    dialog.toAcknowledge?.alarm.cancel();
    dialog.toAcknowledge = undefined;
    this.#letGo([]);
    const send = (hops: readonly Hop[]) => {
      const hop = this.#stack.sendTo(hops, text);
      if (hop) this.#ack = { text, hop };
    };
    this.#stack.locate(nextHop, send, dialog.natAddress, dialog.listener);
    const nameless = listOf(response, 'contact').length === 0 && !within;
    if (this.#cancelled && !within) {
      this.#byeSoon(dialog, 'ACK-BYE due to cancel race condition', true);
    } else if (nameless) this.#byeSoon(dialog, '2xx without Contact', false);
    return text;
  }

  /** After the echo of the ACK, unless the dialog is over by then. */
  #byeSoon(dialog: Dialog, reason: string, tell: boolean): void {
    setImmediate(() => {
      if (dialog.state === 'confirmed') this.#user.bye(dialog, reason, tell);
    });
  }

  /** RFC 3261 section 13.2.2.4: the 2xx of a fork that we do not want is acknowledged and ended. */
  #endFork(response: SipResponse, source: Address, tag: string): void {
    const dialog = this.#dialogWith(response, tag);
    dialog.state = 'confirmed';
    dialog.refreshTarget(response, source);
    const { text, nextHop } = dialog.compose('ACK', newBranch(), [], '', this.#attempt.cseq);
    const send = (hops: readonly Hop[]) => void this.#stack.sendTo(hops, text);
    this.#stack.locate(nextHop, send, dialog.natAddress, dialog.listener);
    this.#user.bye(dialog, 'another branch answered', false);
  }

  #dropForks(keep: Dialog | undefined): void {
    for (const fork of this.#stack.dialogs.forksOf(this.facts.dialogId)) {
      if (fork !== keep) this.#stack.dialogs.remove(fork);
    }
  }

  /** No dialog came of it, or no change of one. */
  #finished(): void {
    this.#final = true;
    this.#heldCancel = undefined;
    const { within } = this.facts;
    if (within) {
      within.inviteOut = undefined;
      if (this.#description !== '') within.offers.concluded('ours');
    } else this.#dropForks(undefined);
  }

  #ackToFailure({ head, cseq }: Tried, response: SipResponse): string {
    const { requestUri } = this.facts;
    const headers = head.map((one) =>
      one.key === 'to' ? header('To', headerOf(response, 'to') ?? one.value) : one,
    );
    headers.push(header('CSeq', `${cseq} ACK`));
    return serialize(`ACK ${requestUri} SIP/2.0`, headers, '');
  }
}
