/** Dialogs (RFC 3261 section 12): what both sides agreed on for all requests that follow. */
import type { Alarm } from './clock.ts';
import type { Application } from './application.ts';
import { Offers } from './offers.ts';
import { OpenRequests } from './open-requests.ts';
import type { Repeated } from './repeats.ts';
import { SessionTimer } from './session-timer.ts';
import { header, headerOf, listOf, serialize } from './message.ts';
import type { Header, SipRequest, SipResponse } from './message.ts';
import { parseNameAddr, parseSipUri } from './uri.ts';
import { defaultPort, viaOf } from './transport.ts';
import type { Address, Listener } from './transport.ts';

/** Our 2xx to an INVITE that waits for its ACK, sent again until it comes. */
export interface UnacknowledgedAnswer {
  cseq: number;
  /** Under which the ACK is delivered: that of the initial INVITE, a new one for a re-INVITE. */
  transaction: string | undefined;
  repeated: Repeated;
}

/** Their 2xx to an INVITE of ours that the application has not acknowledged yet. */
export interface UnacknowledgedByUs {
  /** Rings when the application has not acknowledged in 64*T1. */
  alarm: Alarm;
  acknowledge(headers: readonly Header[], body: string): string;
}

/** An INVITE without a final response; `end` refuses theirs with 487 and cancels ours. */
export interface OpenInvite {
  end(): void;
  /** Theirs: a PRACK with this RAck came; undefined where it fits nothing. */
  acknowledged?(dialog: Dialog, rseq: number, cseq: number): { own: boolean } | undefined;
  /** Theirs: sends what waited for the PRACK. */
  release?(): void;
}

export interface DialogFacts {
  /** `<Call-ID>;from-tag=<tag of the side that sent the INVITE>`: how the application names it. */
  id: string;
  callId: string;
  localTag: string;
  remoteTag: string;
  /** From value of our requests, tag included. */
  local: string;
  /** To value of our requests, tag included. */
  remote: string;
  localSeq: number;
  remoteSeq: number | undefined;
  remoteTarget: string;
  routeSet: string[];
  listener: Listener;
  contact: string;
  owner: Application;
}

export class Dialog {
  readonly id: string;
  readonly callId: string;
  readonly localTag: string;
  readonly remoteTag: string;
  readonly local: string;
  readonly remote: string;
  readonly owner: Application;
  readonly listener: Listener;
  state: 'early' | 'confirmed' | 'ended' = 'early';
  localSeq: number;
  remoteSeq: number | undefined;
  remoteTarget: string;
  routeSet: string[];
  contact: string;
  /** Where requests go while the peer's Contact is not where it sends from (NAT, no Record-Route). */
  natAddress: Address | undefined;
  /** Their last reliable provisional response: its RSeq, and the CSeq of the INVITE that it answers. */
  reliableIn: { rseq: number; cseq: number } | undefined;
  /** RSeq of our last reliable provisional response. */
  rseq: number | undefined;
  readonly offers = new Offers();
  readonly session = new SessionTimer();
  readonly openRequests = new OpenRequests();
  /** Whether the peer's last Allow names UPDATE. */
  allowsUpdate = false;
  /** Our UPDATE, or theirs, that has no final response. */
  updateOut = false;
  updateIn = false;
  /** An INVITE of theirs, or of ours, that has no final response. */
  inviteIn: OpenInvite | undefined;
  inviteOut: OpenInvite | undefined;
  answered: UnacknowledgedAnswer | undefined;
  toAcknowledge: UnacknowledgedByUs | undefined;
  /** Sends the BYE that waits for their ACK (RFC 3261 section 15). */
  heldBye: (() => void) | undefined;

  constructor(facts: DialogFacts) {
    this.id = facts.id;
    this.callId = facts.callId;
    this.localTag = facts.localTag;
    this.remoteTag = facts.remoteTag;
    this.local = facts.local;
    this.remote = facts.remote;
    this.localSeq = facts.localSeq;
    this.remoteSeq = facts.remoteSeq;
    this.remoteTarget = facts.remoteTarget;
    this.routeSet = facts.routeSet;
    this.listener = facts.listener;
    this.contact = facts.contact;
    this.owner = facts.owner;
  }

  /** Remembers what the peer says it can do. */
  learn(message: SipRequest | SipResponse): void {
    if (headerOf(message, 'allow') !== undefined) {
      this.allowsUpdate = listOf(message, 'allow').includes('UPDATE');
    }
  }

  /** Takes over the Contact of a target refresh (RFC 3261 section 12.2), and where it came from. */
  refreshTarget(message: SipRequest | SipResponse, source: Address | undefined): void {
    const contact = parseNameAddr(listOf(message, 'contact')[0] ?? '');
    const uri = contact && parseSipUri(contact.uri);
    if (!contact || !uri) return;
    this.remoteTarget = contact.uri;
    const away =
      source !== undefined &&
      (uri.host !== source.address || (uri.port ?? defaultPort(source.transport)) !== source.port);
    this.natAddress = away && this.routeSet.length === 0 ? source : undefined;
  }

  /**
   * A request inside the dialog: request-URI and Route by RFC 3261 section 12.2.1.1, strict routers included.
   *
   * @param cseq that of the INVITE for an ACK; left out, the next one
   */
  compose(
    method: string,
    branch: string,
    headers: readonly Header[],
    body: string,
    cseq?: number,
    requestUri?: string,
  ): { text: string; uri: string; nextHop: string; headers: Header[] } {
    const { listener } = this;
    const first = this.routeSet[0];
    const firstUri = first === undefined ? undefined : parseNameAddr(first)?.uri;
    const strict = firstUri !== undefined && parseSipUri(firstUri)?.params.has('lr') === false;
    const target = requestUri ?? this.remoteTarget;
    const uri = strict ? firstUri : target;
    const routes = strict ? [...this.routeSet.slice(1), `<${target}>`] : this.routeSet;
    const all: Header[] = [
      header('Via', viaOf(listener, branch)),
      header('Max-Forwards', '70'),
      ...routes.map((route) => header('Route', route)),
      header('From', this.local),
      header('To', this.remote),
      header('Call-ID', this.callId),
      header('CSeq', `${cseq ?? this.nextSeq()} ${method}`),
      ...headers,
    ];
    const text = serialize(`${method} ${uri} SIP/2.0`, all, body);
    return { text, uri, nextHop: firstUri ?? target, headers: all };
  }

  nextSeq(): number {
    this.localSeq += 1;
    return this.localSeq;
  }

  stopAnswerTimers(): void {
    this.answered?.repeated.cancel();
    this.answered = undefined;
  }
}

/** All dialogs, by what the network says and by what the application says. */
export class DialogTable {
  readonly #byNetwork = new Map<string, Dialog>();
  /** Forks of one INVITE share the application's id. */
  readonly #byApplication = new Map<string, Dialog[]>();

  get size(): number {
    return this.#byNetwork.size;
  }

  all(): Dialog[] {
    return [...this.#byNetwork.values()];
  }

  add(dialog: Dialog): void {
    this.#byNetwork.set(key(dialog.callId, dialog.localTag, dialog.remoteTag), dialog);
    const forks = this.#byApplication.get(dialog.id);
    if (forks) forks.push(dialog);
    else this.#byApplication.set(dialog.id, [dialog]);
  }

  remove(dialog: Dialog): void {
    dialog.state = 'ended';
    dialog.stopAnswerTimers();
    dialog.session.stop();
    dialog.toAcknowledge?.alarm.cancel();
    this.#byNetwork.delete(key(dialog.callId, dialog.localTag, dialog.remoteTag));
    const forks = this.#byApplication.get(dialog.id)?.filter((fork) => fork !== dialog) ?? [];
    if (forks.length > 0) this.#byApplication.set(dialog.id, forks);
    else this.#byApplication.delete(dialog.id);
  }

  /** The dialog that a request from the network belongs to. */
  forRequest(request: SipRequest): Dialog | undefined {
    const localTag = request.to.params.get('tag');
    if (localTag === undefined) return undefined;
    return this.#byNetwork.get(key(request.callId, localTag, request.from.params.get('tag') ?? ''));
  }

  find(callId: string, localTag: string, remoteTag: string): Dialog | undefined {
    return this.#byNetwork.get(key(callId, localTag, remoteTag));
  }

  forksOf(id: string): readonly Dialog[] {
    return [...(this.#byApplication.get(id) ?? [])];
  }

  /** The dialog that the application means: the confirmed one, else the newest early one that fits. */
  named(id: string, fits: (dialog: Dialog) => boolean = () => true): Dialog | undefined {
    const forks = this.#byApplication.get(id);
    return forks?.find((fork) => fork.state === 'confirmed') ?? forks?.findLast(fits) ?? forks?.at(-1);
  }
}

function key(callId: string, localTag: string, remoteTag: string): string {
  return `${callId}|${localTag}|${remoteTag}`;
}
