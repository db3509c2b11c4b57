/** A call at an rtpengine server as NG knows it: an identifier, tags, and offers and answers between them. */
import { TacetError } from '../../config/errors.ts';
import type { Latching } from '../relay/messages.ts';
import type { Place } from '../relay/negotiation.ts';
import { writeOffer, type OurDescription } from '../sdp/audio.ts';
import type { NumberedCodec } from '../sdp/choice.ts';
import type { BencodeDictionary } from './bencode.ts';
import type { NgClient } from './ng.ts';

/** What the server is told of an end. */
export interface Described extends Place {
  codecs: readonly NumberedCodec[];
  event: OurDescription['telephoneEvent'];
  direction: OurDescription['direction'];
  /** `a=crypto` lines, of an end that speaks SRTP. */
  crypto?: readonly string[];
}

/** An end of which it is not known yet what it will speak. */
export const anything: Pick<Described, 'codecs' | 'event'> = {
  codecs: [
    { name: 'PCMA', payloadType: 8, fmtp: undefined },
    { name: 'PCMU', payloadType: 0, fmtp: undefined },
  ],
  event: { payloadType: 101, clockRate: 8_000 },
};

/** The server's reply lacks what it was asked for. */
export class NgIncomplete extends TacetError {
  constructor(server: string, what: string) {
    super(`rtpengine ${server} answers without ${what}`);
  }
}

/** A far end that moves keeps the port that it was told (RFC 3264 section 8.3.1 asks no other of it). */
const negotiatingFlags = ['trust-address', 'port-latching'];
/** `asymmetric` keeps the server from learning another place than the SDP's, `strict-source` from hearing one that is not that of the far end. */
const sourceFlags: Record<Latching, readonly string[]> = {
  signalled: ['asymmetric', 'strict-source'],
  address: ['strict-source'],
};

export class NgCall {
  readonly server: NgClient;
  readonly #id: string;
  readonly #flags: readonly string[];
  #version = 0;

  /** @param latching from whom the server takes the far ends' RTP */
  constructor(server: NgClient, id: string, latching: Latching) {
    this.server = server;
    this.#id = id;
    this.#flags = [...negotiatingFlags, ...sourceFlags[latching]];
  }

  /** @throws NgUnanswered @throws NgRefused, with `callUnknown` when the server has forgotten the call */
  ask(command: string, more: BencodeDictionary = {}): Promise<BencodeDictionary> {
    return this.server.ask({ command, 'call-id': this.#id, ...more });
  }

  /** @returns the SDP that the server has for the end `to` @throws NgUnanswered @throws NgRefused @throws NgIncomplete */
  async negotiate(
    command: 'offer' | 'answer',
    from: string,
    to: string,
    described: Described,
    more: BencodeDictionary = {},
  ): Promise<string> {
    const reply = await this.ask(command, {
      'from-tag': from,
      'to-tag': to,
      sdp: this.describe(described),
      flags: [...this.#flags],
      ICE: 'remove',
      ...more,
    });
    return this.sdpIn(reply);
  }

  /** @throws NgIncomplete */
  sdpIn({ sdp }: BencodeDictionary): string {
    if (typeof sdp !== 'string') throw new NgIncomplete(this.server.name, 'an SDP');
    return sdp;
  }

  describe({ codecs, event, crypto = [], ...where }: Described): string {
    return writeOffer({
      ...where,
      codecs,
      telephoneEvent: event,
      rtcpMux: false,
      protocol: crypto.length === 0 ? 'RTP/AVP' : 'RTP/SAVP',
      crypto,
      sessionId: 1,
      version: ++this.#version,
    });
  }

  async end(): Promise<void> {
    await this.ask('delete', { 'delete delay': 0, flags: ['fast'] });
  }
}
