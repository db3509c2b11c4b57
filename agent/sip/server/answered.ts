/** What an answer to an INVITE of a peer makes: a dialog, and a 2xx that is repeated until its ACK. */
import type { Application } from './application.ts';
import { Dialog } from './dialog.ts';
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

/** The dialog of the callee (RFC 3261 section 12.1.1). */
export function dialogOf(
  { request, listener, localTag, source }: ServerTransaction,
  owner: Application,
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
