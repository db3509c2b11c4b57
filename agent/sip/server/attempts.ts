/**
 * One request on its way to the targets of its next hop: one after another until one answers, each try a transaction
 * with a branch of its own (RFC 3263 section 4.3). A large request to a UDP target tries TCP first (RFC 3261 section
 * 18.1.1).
 */
import type { Alarm } from './clock.ts';
import { newBranch, newId } from './ids.ts';
import { headerOf, requestUriOf } from './message.ts';
import type { SipResponse } from './message.ts';
import type { Hop, Stack } from './stack.ts';
import type { ClientTransaction, ClientUser, NoResponse } from './transaction/transaction.ts';
import { contactUri, viaOf } from './transport.ts';
import type { Address, Listener } from './transport.ts';

export interface Request {
  /** Under which the application hears of it, whichever try answers. */
  id: string;
  method: string;
  branch: string;
  /** As the first hop's listener sends it; its Via is the first header. */
  text: string;
  /** The ACK to a failure of an INVITE, whatever its Via. */
  ackFor: (response: SipResponse) => string;
}

export interface AttemptUser extends ClientUser {
  /** The CANCEL of an INVITE whose try was given up and that shows signs of life after all. */
  cancelText?(): string;
  /** A 2xx to a try that was given up: a fork that nobody wants. */
  onLateAnswer?(response: SipResponse, source: Address): void;
}

/** After a failure without a word of when to come back. */
const blockedMs = 30_000;

export class Attempts {
  readonly #stack: Stack;
  #request: Request;
  readonly #user: AttemptUser;
  readonly #composedFor: Listener;
  readonly #left: Hop[];
  #current: { transaction: ClientTransaction; hop: Hop } | undefined;
  #impatience: Alarm | undefined;
  #tries = 0;
  #settled = false;
  /** Tries that were given up and may still answer. */
  readonly #givenUp = new Map<ClientTransaction, Hop>();
  /** Of these, those that rang after all and had to be cancelled. */
  readonly #cancelled = new Set<ClientTransaction>();

  /** @param hops at least one; the text was composed for the listener of the first */
  constructor(stack: Stack, request: Request, hops: readonly [Hop, ...Hop[]], user: AttemptUser) {
    this.#stack = stack;
    this.#request = request;
    this.#user = user;
    this.#composedFor = hops[0].listener;
    this.#left = stack.widened(hops, request.text.length);
  }

  /** The way that is being tried, or that answered. */
  get hop(): Hop | undefined {
    return this.#current?.hop;
  }

  /** Whether no other way was tried before: then nobody has to be cancelled later. */
  get only(): boolean {
    return this.#tries < 2;
  }

  start(): void {
    this.#next(this.#request.branch);
  }

  /** Tells the transaction that its CANCEL goes out, and sends it the same way. From now on no other way is tried. */
  cancel(text: string): void {
    this.#settled = true;
    this.#impatience?.cancel();
    if (!this.#current) return;
    const { transaction, hop } = this.#current;
    transaction.machine.handle('cancelled');
    this.#sendCancel(text, transaction.branch, hop);
  }

  #next(branch: string): void {
    const hop = this.#left.shift();
    if (!hop) return;
    this.#tries += 1;
    const { id, method, text, ackFor } = this.#request;
    const { target, listener } = hop;
    const via = viaOf(listener, branch);
    const transaction = this.#stack.openClient(
      { id, branch, method },
      {
        text: readdressed(withVia(text, via), this.#composedFor, listener),
        uri: requestUriOf(text),
        target,
        listener,
        ackFor: (response) => withVia(ackFor(response), via),
      },
      {
        onResponse: (response, source) => this.#answered(transaction, hop, response, source),
        onNoResponse: (why) => this.#silent(transaction, hop, why),
        onEnded: () => {
          if (this.#current?.transaction === transaction) this.#user.onEnded();
        },
      },
    );
    this.#current = { transaction, hop };
    if (this.#left.length > 0 && !this.#settled) {
      this.#impatience = this.#stack.after(4 * this.#stack.timers.t1Ms, () => this.#giveUp(transaction, hop));
    }
    transaction.machine.handle('start');
  }

  #answered(transaction: ClientTransaction, hop: Hop, response: SipResponse, source: Address): void {
    if (transaction !== this.#current?.transaction) {
      this.#late(transaction, hop, response, source);
      return;
    }
    this.#impatience?.cancel();
    const { blocklist } = this.#stack.resolver;
    if (response.status === 503) {
      const seconds = Number(/^\d{1,6}/u.exec(headerOf(response, 'retry-after') ?? '')?.[0] ?? 0);
      blocklist.add(hop.target, seconds > 0 ? seconds * 1_000 : blockedMs);
      if (!this.#settled && this.#left.length > 0) {
        this.#next(newBranch());
        return;
      }
      if (this.#fallBack()) return;
    } else blocklist.remove(hop.target);
    // Somebody rings, or has decided: no second telephone is to ring for the same call.
    if (response.status > 100) this.#settled = true;
    if (response.status >= 200) this.#request = { ...this.#request, text: '' };
    this.#user.onResponse(response, source);
  }

  #silent(transaction: ClientTransaction, hop: Hop, why: NoResponse): void {
    if (why.status !== 487) {
      this.#stack.resolver.blocklist.add(hop.target, blockedMs);
      if (why.status === 408) hop.listener.suspect(hop.target, this.#stack.giveUpMs);
    }
    if (transaction !== this.#current?.transaction) {
      this.#givenUp.delete(transaction);
      return;
    }
    this.#impatience?.cancel();
    if (why.status !== 487 && !this.#settled && this.#left.length > 0) this.#next(newBranch());
    else if (why.status === 487 || !this.#fallBack()) this.#user.onNoResponse(why);
  }

  /** Not a word, not even 100, while there is somebody else to ask. */
  #giveUp(transaction: ClientTransaction, hop: Hop): void {
    this.#stack.resolver.blocklist.add(hop.target, blockedMs);
    transaction.machine.quieten();
    this.#givenUp.set(transaction, hop);
    this.#next(newBranch());
  }

  /** All others have failed: who was only slow is waited for again, so that impatience alone makes no failure. */
  #fallBack(): boolean {
    const last = [...this.#givenUp].at(-1);
    if (!last) return false;
    const [transaction, hop] = last;
    this.#givenUp.delete(transaction);
    this.#current = { transaction, hop };
    return true;
  }

  #late(transaction: ClientTransaction, hop: Hop, response: SipResponse, source: Address): void {
    this.#stack.resolver.blocklist.remove(hop.target);
    if (response.status >= 200) this.#givenUp.delete(transaction);
    if (this.#request.method !== 'INVITE') return;
    if (response.status >= 200) {
      if (response.status < 300) this.#user.onLateAnswer?.(response, source);
      return;
    }
    const cancel = this.#user.cancelText?.();
    if (cancel === undefined || this.#cancelled.has(transaction)) return;
    this.#cancelled.add(transaction);
    this.#givenUp.delete(transaction);
    transaction.machine.handle('cancelled');
    this.#sendCancel(cancel, transaction.branch, hop);
  }

  #sendCancel(text: string, branch: string, hop: Hop): void {
    sendUnheard(this.#stack, 'CANCEL', branch, withVia(text, viaOf(hop.listener, branch)), [hop]);
  }
}

/** A request of our own of which nobody waits to hear: it is repeated until answered or given up. */
export function sendUnheard(
  stack: Stack,
  method: string,
  branch: string,
  text: string,
  [first, ...others]: readonly Hop[],
): void {
  if (!first) return;
  const nobody = { onResponse: () => undefined, onNoResponse: () => undefined, onEnded: () => undefined };
  const request = { id: newId(), method, branch, text, ackFor: () => '' };
  new Attempts(stack, request, [first, ...others], nobody).start();
}

/** The same message with this as its top Via, which is its first header. */
export function withVia(text: string, via: string): string {
  const from = text.indexOf('\r\n') + 2;
  return `${text.slice(0, from)}Via: ${via}${text.slice(text.indexOf('\r\n', from))}`;
}

/** The message, or a Contact value alone, as the other listener would have written it. */
export function readdressed(text: string, from: Listener, to: Listener): string {
  // A Contact of another transport is still ours and listening; one of the other address family leads nowhere.
  if (from.family === to.family) return text;
  const [ours, theirs] = [contactUri(from), contactUri(to)].map((uri) => uri.slice('sip:'.length));
  const end = text.indexOf('\r\n\r\n');
  const head = end < 0 ? text : text.slice(0, end);
  const moved = head.replace(/^(?:Contact: )?<.*$/mu, (line) => line.replace(ours ?? '', theirs ?? ''));
  return `${moved}${text.slice(head.length)}`;
}
