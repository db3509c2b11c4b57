/**
 * Types of drachtio-srf 5.0.29 for what a B2BUA uses. The package's own fail under `strict`; tsconfig's `paths` puts
 * these in their place. At run time the package is CommonJS: there is a default export and nothing else, hence types only
 * for everything but `Srf`.
 */
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';

export type SipMethod =
  | 'ACK'
  | 'BYE'
  | 'CANCEL'
  | 'INFO'
  | 'INVITE'
  | 'MESSAGE'
  | 'NOTIFY'
  | 'OPTIONS'
  | 'PRACK'
  | 'PUBLISH'
  | 'REFER'
  | 'REGISTER'
  | 'SUBSCRIBE'
  | 'UPDATE';

/** Names in any case; a value is sent as it stands. */
export type SipHeaders = Record<string, string>;

/** A From, To, Contact, Refer-To, ... value. `params` holds undefined for a parameter without value. */
export interface NameAddr {
  name: string | undefined;
  uri: string;
  params: Record<string, string | undefined>;
}

export interface ParsedVia {
  version: string;
  protocol: string;
  host: string;
  port: number | undefined;
  params: Record<string, string | undefined>;
}

export interface ParsedUri {
  family: 'ipv4' | 'ipv6';
  scheme: 'sip' | 'sips' | 'tel';
  user: string | undefined;
  password: string | undefined;
  host: string | undefined;
  /** NaN where the URI has none. */
  port: number;
  params: Record<string, string | null>;
  headers: Record<string, string>;
}

/** A message as parsed: header names in lower case but for `X-`, `P-` and `Diversion`, several copies joined by a comma. */
export interface SipMessage {
  readonly type: 'request' | 'response' | 'unknown';
  method: SipMethod;
  uri: string;
  headers: SipHeaders;
  body: string;
  payload: { type: string | undefined; content: string | undefined }[];
  readonly raw: string;
  /** User part of P-Asserted-Identity, else of From; empty where there is none. */
  readonly callingNumber: string;
  readonly callingName: string;
  /** User part of the Request-URI; empty where there is none. */
  readonly calledNumber: string;
  get(name: string): string | undefined;
  has(name: string): boolean;
  set(name: string, value: string): this;
  getHeaderName(name: string): string | undefined;
  /** @throws Error when the header is missing */
  getParsedHeader(name: 'contact' | 'Contact'): NameAddr[];
  getParsedHeader(name: 'via' | 'Via'): ParsedVia[];
  getParsedHeader(name: 'cseq' | 'CSeq'): { seq: number; method: string };
  getParsedHeader(
    name:
      | 'from'
      | 'From'
      | 'to'
      | 'To'
      | 'refer-to'
      | 'Refer-To'
      | 'referred-by'
      | 'Referred-By'
      | 'p-asserted-identity'
      | 'P-Asserted-Identity'
      | 'remote-party-id'
      | 'Remote-Party-ID',
  ): NameAddr;
}

interface StackFacts {
  readonly source: 'network' | 'application';
  readonly source_address: string;
  readonly source_port: number;
  readonly protocol: string;
  readonly stackTime: string;
  readonly stackTxnId: string;
  readonly stackDialogId: string;
}

interface RequestEvents {
  /** Of a request that came in and is not answered yet. */
  cancel: [cancel: SipMessage];
  /** An UPDATE before the INVITE was answered. */
  update: [req: SrfRequest, res: SrfResponse];
  /** Of a request that we sent. `ack` is there for a final response to INVITE and for a reliable provisional one. */
  response: [res: SrfResponse, ack: (opts?: { headers?: SipHeaders; body?: string }) => void];
  authenticate: [retry: SrfRequest];
}

export interface SrfRequest extends SipMessage, StackFacts, EventEmitter<RequestEvents> {
  readonly res: SrfResponse;
  readonly isNewInvite: boolean;
  /** `address:port` of ours; only in a request outside a dialog. */
  readonly receivedOn: string | undefined;
  readonly server: { address: string; hostport: string };
  readonly socket: Socket;
  /** Cancels an INVITE that we sent. @throws Error on a request that came in */
  cancel(callback?: (error: Error | null, cancel: SrfRequest) => void): void;
  cancel(opts: { headers?: SipHeaders }, callback?: (error: Error | null, cancel: SrfRequest) => void): void;
}

export interface SendOptions {
  headers?: SipHeaders;
  body?: string;
}

/** `error` is the refusal's text, or an Error when the connection is gone or a final response was sent before. */
export type SentCallback = (error: Error | string | null, sent: SipMessage) => void;

export interface SrfResponse extends SipMessage, StackFacts, EventEmitter<{ end: [unknown]; finish: [] }> {
  status: number;
  statusCode: number;
  reason: string;
  readonly req: SrfRequest;
  readonly finalResponseSent: boolean;
  /** @param onAck called with the PRACK or ACK that answers this response */
  send(
    status: number,
    opts?: SendOptions,
    callback?: SentCallback,
    onAck?: (acknowledgement: SrfRequest) => void,
  ): void;
  send(
    status: number,
    reason: string | undefined,
    opts?: SendOptions,
    callback?: SentCallback | null,
    onAck?: (acknowledgement: SrfRequest) => void,
  ): void;
  send(status: number, callback: SentCallback): void;
}

interface DialogEvents {
  /** The BYE that ended it; `reason` is the text of its Reason header where the server made it up. */
  destroy: [bye: SrfRequest, reason?: string];
  modify: [req: SrfRequest, res: SrfResponse];
  refresh: [req: SrfRequest];
  hold: [req: SrfRequest];
  unhold: [req: SrfRequest];
  info: [req: SrfRequest, res: SrfResponse];
  refer: [req: SrfRequest, res: SrfResponse];
  update: [req: SrfRequest, res: SrfResponse];
  message: [req: SrfRequest, res: SrfResponse];
  notify: [req: SrfRequest, res: SrfResponse];
  options: [req: SrfRequest, res: SrfResponse];
  publish: [req: SrfRequest, res: SrfResponse];
  subscribe: [req: SrfRequest, res: SrfResponse];
  ack: [ack: SrfRequest];
}

export interface InDialogRequestOptions {
  method: SipMethod;
  headers?: SipHeaders;
  body?: string | undefined;
  auth?: Credentials;
}

/** Answer to a re-INVITE without SDP: the far end's offer, and how to give ours. */
export interface OfferedInAnswer {
  sdp: string;
  ack: (sdp: string) => void;
}

export interface Dialog extends EventEmitter<DialogEvents> {
  /** `<Call-ID>;from-tag=<tag>`. */
  readonly id: string;
  readonly type: 'uac' | 'uas';
  /** False once a BYE came in or was answered: an event may have been missed, this is not. */
  connected: boolean;
  onHold: boolean;
  other: Dialog | undefined;
  readonly sip: { callId: string; localTag: string; remoteTag: string };
  local: { uri: string; sdp: string; contact: string };
  remote: { uri: string; sdp: string };
  readonly req: SrfRequest;
  readonly res: SrfResponse;
  queueRequests: boolean;
  readonly srf: Srf;
  /** Takes each request within the dialog; 501 to a method that it does not know. */
  handle(req: SrfRequest, res: SrfResponse): void;
  /** Any request; resolves with its final response, whatever the status, and for INVITE sends the ACK. */
  request(opts: InDialogRequestOptions): Promise<SrfResponse>;
  /**
   * With a callback, an INVITE without body and `noAck`, the ACK is the caller's to send: `ack({ body })`.
   * A provisional response calls back too.
   */
  request(
    opts: InDialogRequestOptions & { noAck?: boolean },
    callback: (
      error: Error | null,
      res: SrfResponse,
      ack?: (opts?: { headers?: SipHeaders; body?: string }) => void,
    ) => void,
  ): this;
  /** Never settles again on this dialog after one failed re-INVITE: use `request` instead. */
  modify(sdp: string, opts?: { headers?: SipHeaders }): Promise<string>;
  modify(opts: { noAck: true; headers?: SipHeaders }): Promise<OfferedInAnswer>;
  /** Sends BYE; resolves with it when it was answered. Rejects with code ENODIALOG when the far end was faster. */
  destroy(opts?: { headers?: SipHeaders; auth?: Credentials }): Promise<SrfRequest>;
  destroy(opts: { headers?: SipHeaders }, callback: (error: Error | null, bye: SrfRequest) => void): this;
}

export interface Credentials {
  username: string;
  password: string;
}

/** A call that did not come about: the final status, and the response where a peer gave one. */
export interface SipError extends Error {
  readonly status: number;
  readonly reason: string | undefined;
  readonly res: SrfResponse | undefined;
}

export interface ConnectOptions {
  host: string;
  port: number;
  secret: string;
  tls?: ConnectionOptions;
  enablePing?: boolean;
  /** Milliseconds, 5,000 to 300,000. */
  pingInterval?: number;
  reconnect?: { retryMaxDelay?: number | null; maxAttempts?: number; connectTimeout?: number };
}

export interface ProgressCallbacks {
  /** The INVITE as it was sent, or why it was not. */
  cbRequest?: (error: Error | null, req: SrfRequest) => void;
  cbProvisional?: (res: SrfResponse) => void;
}

export interface CreateUASOptions {
  localSdp: string | (() => string | Promise<string>);
  headers?: SipHeaders;
}

export interface CreateUACOptions {
  headers?: SipHeaders;
  /** Next hop, where it is not the request-URI's. */
  proxy?: string;
  callingNumber?: string;
  callingName?: string;
  calledNumber?: string;
  auth?: Credentials;
  followRedirects?: boolean;
  keepUriOnRedirect?: boolean;
  localSdp?: string;
  noAck?: boolean;
}

/** An INVITE without SDP was answered with an offer: the ACK takes the answer and makes the dialog. */
export interface AnsweredWithOffer {
  sdp: string;
  res: SrfResponse;
  ack: (localSdp: string) => Promise<Dialog>;
  destroy: () => Promise<void>;
}

export interface CreateB2BUAOptions extends Omit<CreateUACOptions, 'localSdp'> {
  localSdpA?: string | ((sdp: string, res: SrfResponse) => string | Promise<string>);
  localSdpB?: string | ((sdp: string) => string | Promise<string>);
  responseHeaders?: SipHeaders | ((uacRes: SrfResponse, headers: SipHeaders) => SipHeaders | null);
  proxyRequestHeaders?: string[];
  proxyResponseHeaders?: string[];
  passFailure?: boolean;
  passProvisionalResponses?: boolean;
}

export interface RequestOptions {
  method: SipMethod;
  headers?: SipHeaders;
  body?: string;
  proxy?: string;
  auth?: Credentials;
}

interface SrfEvents {
  connect: [error: Error | null, hostports: string, version?: string | null, localHostports?: string | null];
  error: [error: Error, socket?: Socket];
  close: [socket?: Socket];
  reconnecting: [{ delay: number; attempt: number }];
  listening: [];
}

type RequestListener = (req: SrfRequest, res: SrfResponse, next: (error?: unknown) => void) => void;

declare class Srf extends EventEmitter<SrfEvents> {
  /** @param tags at most 20 of 32 characters each */
  constructor(tags?: string | string[]);
  static readonly SipError: new (status: number, reason?: string) => SipError;
  static parseUri(uri: string): ParsedUri | undefined;
  static stringifyUri(uri: object): string;

  locals: Record<string, unknown>;
  connect(opts: ConnectOptions, callback?: (error: Error | null, hostports: string) => void): unknown;
  disconnect(): void;

  /** Without a method the server sends nothing new: it only sees what other listeners asked for. */
  use(listener: RequestListener): unknown;
  use(method: string, listener: RequestListener): unknown;
  invite(listener: RequestListener): unknown;
  options(listener: RequestListener): unknown;
  register(listener: RequestListener): unknown;
  message(listener: RequestListener): unknown;
  info(listener: RequestListener): unknown;
  notify(listener: RequestListener): unknown;
  subscribe(listener: RequestListener): unknown;
  publish(listener: RequestListener): unknown;
  refer(listener: RequestListener): unknown;

  /** Sends a request outside any dialog; resolves with it as sent, `response` events follow. */
  request(uri: string, opts: RequestOptions): Promise<SrfRequest>;
  /** With `stackDialogId` within a dialog, early or answered: at `sip:placeholder` the server puts its remote target. */
  request(
    opts:
      | (RequestOptions & { uri: string })
      | (Omit<RequestOptions, 'method'> & { method: string; uri: 'sip:placeholder'; stackDialogId: string }),
  ): Promise<SrfRequest>;
  request(uri: string, opts: RequestOptions, callback: (error: Error | null, req: SrfRequest) => void): this;

  createUAS(req: SrfRequest, res: SrfResponse, opts: CreateUASOptions): Promise<Dialog>;
  /** @throws SipError when the far end refuses */
  createUAC(
    uri: string,
    opts: CreateUACOptions & { localSdp: string },
    progress?: ProgressCallbacks,
  ): Promise<Dialog>;
  createUAC(
    uri: string,
    opts: CreateUACOptions & { noAck: true; localSdp?: never },
    progress?: ProgressCallbacks,
  ): Promise<AnsweredWithOffer>;
  createUAC(
    uri: string,
    opts: CreateUACOptions,
    progress?: ProgressCallbacks,
  ): Promise<Dialog | AnsweredWithOffer>;
  createB2BUA(
    req: SrfRequest,
    res: SrfResponse,
    uri: string,
    opts: CreateB2BUAOptions,
    progress?: ProgressCallbacks & { cbFinalizedUac?: (uac: Dialog) => void },
  ): Promise<{ uas: Dialog; uac: Dialog }>;

  findDialogById(id: string): Dialog | undefined;
  findDialogByCallIDAndFromTag(callId: string, tag: string): Dialog | undefined;
}

export default Srf;
export type { Srf };
