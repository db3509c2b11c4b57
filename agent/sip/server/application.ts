/** What the SIP side tells an application: every method is one frame of the control protocol. */
import type { SipRequest, SipResponse } from './message.ts';
import type { Address, Listener } from './transport.ts';

/** Where a message came from. */
export interface Arrival {
  source: Address;
  listener: Listener;
}

export interface Application {
  /** False once its connection is gone: what is sent to it is lost. */
  readonly alive: boolean;
  /** A request outside any dialog, or the CANCEL of one that the application has not answered yet. */
  newRequest(request: SipRequest, arrival: Arrival, transaction: string): void;
  /** Everything else from the network; `dialog` is empty outside a dialog. */
  message(message: SipRequest | SipResponse, arrival: Arrival, transaction: string, dialog: string): void;
  /** A response that no peer sent: a timeout, a peer that cannot be reached. */
  madeUp(text: string, listener: Listener, transaction: string, dialog: string): void;
  /** A request that the server made up and sent on its own: a BYE. */
  ownRequest(text: string, listener: Listener, dialog: string): void;
  /** Echo of a request that the application asked for. */
  requestSent(rid: string, text: string, listener: Listener, transaction: string): void;
  /** Echo of a response that the application asked for. */
  responseSent(
    rid: string,
    text: string,
    to: Address,
    listener: Listener,
    transaction: string,
    dialog: string,
  ): void;
  /** The frame cannot be obeyed; the reason is part of the protocol where drachtio-srf looks at it. */
  refuse(rid: string, why: string): void;
}
