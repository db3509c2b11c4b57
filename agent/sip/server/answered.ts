/** What an answer to an INVITE of a peer makes: a dialog, and a 2xx that is repeated until its ACK. */
import type { Application } from './application.ts';
import { Dialog } from './dialog.ts';
import type { OpenInvite } from './dialog.ts';
import type { Received } from './received.ts';
import { contactFor } from './incoming-response.ts';
import { descriptionIn, headerOf, listOf } from './message.ts';
import type { SipRequest } from './message.ts';
import { repeat } from './repeats.ts';
import type { Stack } from './stack.ts';
import type { ServerTransaction } from './transaction/transaction.ts';

/** How the application names the dialog that this INVITE makes. */
export function dialogId(request: SipRequest): string {
  return `${request.callId};from-tag=${request.from.params.get('tag') ?? ''}`;
}

/** The dialog of the callee, or of one of several on one INVITE (RFC 3261 section 12.1.1). */
function dialogOf(
  { request, listener, source }: ServerTransaction,
  owner: Application,
  localTag: string,
): Dialog {
  const dialog = new Dialog({
    id: dialogId(request),
    callId: request.callId,
    localTag,
    remoteTag: request.from.params.get('tag') ?? '',
    local: `${headerOf(request, 'to') ?? ''};tag=${localTag}`,
    remote: headerOf(request, 'from') ?? '',
    localSeq: 0,
    remoteSeq: request.cseq,
    remoteTarget: request.from.uri,
    routeSet: listOf(request, 'record-route'),
    listener,
    contact: contactFor(request, listener),
    owner,
  });
  dialog.refreshTarget(request, source);
  dialog.learn(request);
  dialog.offers.carried('theirs', descriptionIn(request), true);
  return dialog;
}

/** The dialog of an INVITE under this tag of ours, made when it is new. */
export function dialogUnder(stack: Stack, received: Received, tag: string, open: () => OpenInvite): Dialog {
  const { dialog: first, branches, transaction, owner } = received;
  if (first !== undefined && (first.localTag === tag || transaction.request.to.params.has('tag')))
    return first;
  const known = branches.get(tag);
  if (known) return known;
  const dialog = dialogOf(transaction, owner, tag);
  dialog.inviteIn = open();
  stack.dialogs.add(dialog);
  if (first === undefined) received.dialog = dialog;
  else branches.set(tag, dialog);
  return dialog;
}

/** One branch has answered: the early dialogs of the others are over (RFC 3261 section 12.3). */
export function confirm(stack: Stack, received: Received, answered: Dialog): void {
  const { dialog: first } = received;
  if (first !== undefined && first !== answered) stack.dialogs.remove(first);
  received.dialog = answered;
  received.branches.delete(answered.localTag);
  dropBranches(stack, received);
  answered.state = 'confirmed';
}

export function dropBranches(stack: Stack, { branches }: Received): void {
  for (const branch of branches.values()) stack.dialogs.remove(branch);
  branches.clear();
}

/** RFC 3261 section 13.3.1.4; `giveUp` is called once after 64*T1. */
export function repeatUntilAck(
  stack: Stack,
  transaction: ServerTransaction,
  dialog: Dialog,
  text: string,
  giveUp: () => void,
): void {
  const { request, listener, responseAddress } = transaction;
  const initial = request.to.params.has('tag') ? undefined : transaction.id;
  const send = () => listener.send(text, responseAddress);
  const gone = () => {
    dialog.stopAnswerTimers();
    giveUp();
  };
  dialog.stopAnswerTimers();
  dialog.answered = {
    cseq: request.cseq,
    transaction: initial,
    repeated: repeat(stack, send, gone, stack.timers.t2Ms),
  };
}
