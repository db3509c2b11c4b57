/**
 * One INVITE of ours, initial or inside a dialog, from its first byte until nothing of it can come any more: forks,
 * acknowledgements, CANCEL.
 */
import type { Application } from './application.ts';
import { Dialog } from './dialog.ts';
import { madeUpResponse } from './made-up.ts';
import { header, headerOf, listOf, serialize } from './message.ts';
import type { Header, SipResponse } from './message.ts';
import { locate } from './resolve.ts';
import { newBranch } from './stack.ts';
import type { Stack } from './stack.ts';
import type { ClientTransaction } from './transaction/transaction.ts';
import type { Address, Listener } from './transport.ts';

export interface InviteFacts {
  owner: Application;
  /** Under which the application hears of it. */
  dialogId: string;
  requestUri: string;
  branch: string;
  /** Headers that its CANCEL and the ACK to a failure repeat: Via, Max-Forwards, Route, From, To, Call-ID. */
  head: Header[];
  cseq: number;
  local: string;
  callId: string;
  localTag: string;
  contact: string;
  /** There in a re-INVITE. */
  within: Dialog | undefined;
  text: string;
  target: Address;
  listener: Listener;
}

export interface InviteUser {
  /** Sends a BYE of the server's own. */
  bye(dialog: Dialog, reason: string, tell: boolean): void;
  /** Nothing of this INVITE can come any more. */
  over(invite: OutgoingInvite): void;
}

export class OutgoingInvite {
  readonly id: string;
  readonly facts: InviteFacts;
  readonly #stack: Stack;
  readonly #user: InviteUser;
  readonly #transaction: ClientTransaction;
  #provisional = false;
  #cancelled = false;
  #final = false;
  #heldCancel: (() => void) | undefined;
  /** Tag of the first 2xx: the others are forks that nobody wants. */
  #winner: string | undefined;
  #ack: { text: string; target: Address } | undefined;

  /** @param id under which the application's requests and responses go */
  constructor(stack: Stack, id: string, facts: InviteFacts, user: InviteUser) {
    this.id = id;
    this.facts = facts;
    this.#stack = stack;
    this.#user = user;
    const { branch, text, target, listener, owner } = facts;
    this.#transaction = stack.openClient(
      { id, branch, method: 'INVITE' },
      { text, target, listener, ackFor: (response) => this.#ackToFailure(response) },
      {
        onResponse: (response, source) => this.#answered(response, source),
        onNoResponse: (why) => {
          this.#finished();
          owner.madeUp(madeUpResponse(text, why), listener, id, facts.dialogId);
        },
        onEnded: () => user.over(this),
      },
    );
    if (facts.within) facts.within.inviteOut = { end: () => this.cancel(this.composeCancel([])) };
  }

  start(): void {
    this.#transaction.machine.handle('start');
  }

  get final(): boolean {
    return this.#final;
  }

  /** Whether a CANCEL of the application would still mean something. */
  get cancellable(): boolean {
    return !this.#final || this.#ack === undefined;
  }

  composeCancel(reasons: readonly Header[]): string {
    const { head, cseq, requestUri } = this.facts;
    const headers = [...head, header('CSeq', `${cseq} CANCEL`), ...reasons];
    return serialize(`CANCEL ${requestUri} SIP/2.0`, headers, '');
  }

  /** Sends the CANCEL as soon as RFC 3261 section 9.1 lets it: after the first provisional response. */
  cancel(text: string): void {
    if (this.#cancelled) return;
    this.#cancelled = true;
    if (this.#final) return;
    const send = () => {
      this.#transaction.machine.handle('cancelled');
      this.#stack.sendUnheard('CANCEL', this.facts.branch, text, this.facts.target, this.facts.listener);
    };
    if (this.#provisional) send();
    else this.#heldCancel = send;
  }

  #answered(response: SipResponse, source: Address): void {
    const { status } = response;
    if (status < 200) {
      this.#provisional = true;
      const held = this.#heldCancel;
      this.#heldCancel = undefined;
      held?.();
      if (status === 100 || this.#final) return;
      if (!this.facts.within) this.#early(response, source);
      this.#deliver(response, source);
      return;
    }
    if (status >= 300) {
      this.#finished();
      this.#deliver(response, source);
      return;
    }
    const tag = response.to.params.get('tag') ?? '';
    if (this.#winner === undefined) {
      this.#accepted(response, source, tag);
      return;
    }
    if (this.#winner !== tag) {
      this.#endFork(response, source, tag);
      return;
    }
    // Their 2xx again: our ACK got lost, or the application has not given it yet.
    if (this.#ack) {
      this.#stack.counted.retransmissions += 1;
      this.facts.listener.send(this.#ack.text, this.#ack.target);
    }
  }

  #deliver(response: SipResponse, source: Address): void {
    const { owner, listener, dialogId } = this.facts;
    owner.message(response, { source, listener }, this.id, dialogId);
  }

  #early(response: SipResponse, source: Address): void {
    const tag = response.to.params.get('tag');
    if (tag === undefined) return;
    const dialog = this.#dialogWith(response, tag);
    dialog.refreshTarget(response, source);
    if (headerOf(response, 'rseq') !== undefined) dialog.rseq = Number(headerOf(response, 'rseq'));
  }

  /** The dialog with the side that has this tag, made when it is new. */
  #dialogWith(response: SipResponse, tag: string): Dialog {
    const { dialogId, callId, localTag, local, cseq, requestUri, listener, contact, owner } = this.facts;
    const known = this.#stack.dialogs.find(callId, localTag, tag);
    if (known) return known;
    const dialog = new Dialog({
      id: dialogId,
      callId,
      localTag,
      remoteTag: tag,
      local,
      remote: headerOf(response, 'to') ?? '',
      localSeq: cseq,
      remoteSeq: undefined,
      remoteTarget: requestUri,
      routeSet: listOf(response, 'record-route').reverse(),
      listener,
      contact,
      owner,
    });
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
      this.#deliver(response, source);
      return;
    }
    // RFC 3261 section 13.2.2.4: the route set of the 2xx replaces that of an early dialog.
    if (!within && dialog.state === 'early') dialog.routeSet = listOf(response, 'record-route').reverse();
    dialog.state = 'confirmed';
    dialog.refreshTarget(response, source);
    if (!within) this.#dropForks(dialog);
    const acknowledge = (headers: readonly Header[], body: string): string =>
      this.#acknowledge(dialog, headers, body, response);
    const alarm = this.#stack.after(this.#stack.giveUpMs, () => {
      acknowledge([], '');
      this.#user.bye(dialog, 'no ACK from the application', true);
    });
    dialog.toAcknowledge = { acknowledge, alarm };
    if (owner.alive) this.#deliver(response, source);
    else acknowledge([], '');
  }

  /** Sends the ACK to the 2xx, and what must follow it; gives its text. */
  #acknowledge(dialog: Dialog, headers: readonly Header[], body: string, response: SipResponse): string {
    const { cseq, within } = this.facts;
    const { text, nextHop } = dialog.compose('ACK', newBranch(), headers, body, cseq);
    dialog.toAcknowledge?.alarm.cancel();
    dialog.toAcknowledge = undefined;
    locate(dialog.natAddress, nextHop, (target) => {
      if (!target) return;
      this.#ack = { text, target };
      dialog.listener.send(text, target);
    });
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
    const { text, nextHop } = dialog.compose('ACK', newBranch(), [], '', this.facts.cseq);
    locate(dialog.natAddress, nextHop, (target) => {
      if (target) dialog.listener.send(text, target);
    });
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
    if (this.facts.within) this.facts.within.inviteOut = undefined;
    else this.#dropForks(undefined);
  }

  #ackToFailure(response: SipResponse): string {
    const { head, cseq, requestUri } = this.facts;
    const headers = head.map((one) =>
      one.key === 'to' ? header('To', headerOf(response, 'to') ?? one.value) : one,
    );
    headers.push(header('CSeq', `${cseq} ACK`));
    return serialize(`ACK ${requestUri} SIP/2.0`, headers, '');
  }
}
