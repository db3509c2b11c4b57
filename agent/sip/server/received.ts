/** A request that was delivered to an application, until its final response. */
import type { Application } from './application.ts';
import type { Alarm } from './clock.ts';
import type { Dialog } from './dialog.ts';
import { descriptionIn, names } from './message.ts';
import type { RawMessage } from './message.ts';
import { repeat } from './repeats.ts';
import type { Repeated } from './repeats.ts';
import type { Stack } from './stack.ts';
import type { ServerTransaction } from './transaction/transaction.ts';

/** `own`: the application did not ask for it, the caller did; then its PRACK is ours to answer. */
export type Reliability = 'unreliable' | 'reliable' | 'own';

interface Outstanding {
  dialog: Dialog;
  rseq: number;
  own: boolean;
  repeated: Repeated;
}

interface Postponed {
  send(): void;
  refuse(): void;
}

export class Received {
  readonly transaction: ServerTransaction;
  readonly owner: Application;
  /** The dialog that it came in, or that it makes: of several early ones the first, then the one that was answered. */
  dialog: Dialog | undefined;
  /** Early dialogs of further branches, by our tag. */
  readonly branches = new Map<string, Dialog>();
  /** Rings when the application has said nothing about an INVITE for 6*64*T1, longer than any proxy's timer C. */
  silence: Alarm | undefined;
  /** A response that counts has carried a description: what later ones repeat is no offer. */
  described = false;
  #outstanding: Outstanding | undefined;
  readonly #postponed: Postponed[] = [];

  constructor(transaction: ServerTransaction, owner: Application, dialog: Dialog | undefined) {
    this.transaction = transaction;
    this.owner = owner;
    this.dialog = dialog;
  }

  get offered(): boolean {
    return descriptionIn(this.transaction.request) !== '';
  }

  /**
   * How a response goes out (RFC 3262 section 3); the reason where it cannot. A caller that requires 100rel gets every
   * provisional response reliably.
   */
  reliabilityOf(status: number, raw: RawMessage): Reliability | { refused: string } {
    const { request } = this.transaction;
    if (request.method !== 'INVITE' || status <= 100 || status >= 200) return 'unreliable';
    const required = names(request, 'require', '100rel');
    if (!names(raw, 'require', '100rel')) return required ? 'own' : 'unreliable';
    if (required || names(request, 'supported', '100rel')) return 'reliable';
    return { refused: 'Remote endpoint does not support 100rel' };
  }

  /** One reliable response at a time, and no 2xx before its PRACK: true has kept it for later. */
  postpones(status: number, reliability: Reliability, later: Postponed): boolean {
    const success = status >= 200 && status < 300;
    if (!this.#outstanding || (reliability === 'unreliable' && !success)) return false;
    this.#postponed.push(later);
    return true;
  }

  /** Repeats a reliable provisional response until its PRACK. */
  expectPrack(stack: Stack, dialog: Dialog, text: string, own: boolean, giveUp: () => void): void {
    const { listener, responseAddress } = this.transaction;
    const send = () => listener.send(text, responseAddress);
    this.#outstanding = { dialog, rseq: dialog.rseq ?? 0, own, repeated: repeat(stack, send, giveUp) };
  }

  /** The PRACK with this RAck came in a dialog; undefined where it fits nothing. */
  provisionallyAcknowledged(dialog: Dialog, rseq: number, cseq: number): { own: boolean } | undefined {
    const outstanding = this.#outstanding;
    if (outstanding?.dialog !== dialog || outstanding.rseq !== rseq) return undefined;
    if (this.transaction.request.cseq !== cseq) return undefined;
    outstanding.repeated.cancel();
    this.#outstanding = undefined;
    return { own: outstanding.own };
  }

  /** Sends what waited for the PRACK, up to the next response that waits for one. */
  release(): void {
    while (!this.#outstanding) {
      const next = this.#postponed.shift();
      if (!next) return;
      next.send();
    }
  }

  /** A final response has gone out, or never will. */
  settle(): void {
    this.silence?.cancel();
    this.silence = undefined;
    this.#outstanding?.repeated.cancel();
    this.#outstanding = undefined;
    for (const postponed of this.#postponed.splice(0)) postponed.refuse();
  }
}
