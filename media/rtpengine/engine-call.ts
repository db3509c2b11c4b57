/**
 * One call at an rtpengine server. Four tags: the two far ends, and for each of them a line of ours through which it
 * is told; besides, for each a subscription that brings us copies of all it sends. A far end is in dialogue either with our line ("apart") or with the
 * other far end ("joined"); its port at the server is the same in both.
 */
import type { Side } from '../../config/units.ts';
import { TacetError } from '../../config/errors.ts';
import type { Latching } from '../relay/messages.ts';
import { readAudio, writeOffer, type OurDescription } from '../sdp/audio.ts';
import type { NumberedCodec } from '../sdp/choice.ts';
import type { BencodeDictionary, BencodeValue } from './bencode.ts';
import type { NgClient } from './ng.ts';

export interface Endpoint {
  address: string;
  port: number;
}

/** A far end as the server must know it. */
export interface FarEnd extends Endpoint {
  codec: NumberedCodec;
  event: OurDescription['telephoneEvent'];
  direction: OurDescription['direction'];
}

/** What the server has counted of a side. */
export interface EngineCounts {
  /** RTP packets from the far end. */
  received: number;
  /** RTP packets from our line. */
  played: number;
  /** Whether what our line sends goes to the far end. */
  hearsLine: boolean;
  /** Unix time of the far end's last packet, seconds; 0 when none came. */
  lastPacket: number;
}

/** The server's reply lacks what it was asked for. */
export class NgIncomplete extends TacetError {
  constructor(server: string, what: string) {
    super(`rtpengine ${server} answers without ${what}`);
  }
}

const everyCodec: readonly NumberedCodec[] = [
  { name: 'PCMA', payloadType: 8, fmtp: undefined },
  { name: 'PCMU', payloadType: 0, fmtp: undefined },
];
const everyEvent = { payloadType: 101, clockRate: 8_000 };

/** A far end that moves keeps the port that it was told (RFC 3264 section 8.3.1 asks no other of it). */
const negotiatingFlags = ['trust-address', 'port-latching'];
/** `asymmetric` keeps the server from learning another place than the SDP's, `strict-source` from hearing one that is not that of the far end. */
const sourceFlags: Record<Latching, readonly string[]> = {
  signalled: ['asymmetric', 'strict-source'],
  address: ['strict-source'],
};

const lineTag = (side: Side): string => `line-${side}`;
const tapTag = (side: Side): string => `tap-${side}`;

export class EngineCall {
  readonly #server: NgClient;
  readonly #id: string;
  readonly #lines: Record<Side, Endpoint>;
  readonly #flags: readonly string[];
  #version = 0;

  /**
   * @param lines    where our own sockets are, as the server sees them
   * @param latching from whom the server takes the far ends' RTP
   */
  constructor(server: NgClient, id: string, lines: Record<Side, Endpoint>, latching: Latching) {
    this.#server = server;
    this.#id = id;
    this.#lines = lines;
    this.#flags = [...negotiatingFlags, ...sourceFlags[latching]];
  }

  /** Reserves a side's ports. @returns where its far end is to send @throws NgUnanswered @throws NgRefused */
  async reserve(side: Side): Promise<Endpoint> {
    const sdp = this.#describe({
      ...this.#lines[side],
      codecs: everyCodec,
      event: everyEvent,
      direction: 'sendonly',
    });
    return this.#negotiate('offer', lineTag(side), side, sdp);
  }

  /** Puts a far end in dialogue with our line. @returns where the line sends what the far end is to hear */
  async part(side: Side, far: FarEnd): Promise<Endpoint> {
    const ours = this.#describe({
      ...this.#lines[side],
      codecs: [far.codec],
      event: far.event,
      direction: 'sendonly',
    });
    await this.#negotiate('offer', lineTag(side), side, ours);
    return this.#negotiate('answer', lineTag(side), side, this.#describeFar(far));
  }

  /** Puts the far ends in dialogue with each other; G.711 of either law is converted where they differ. */
  async join({ caller, agent }: Record<Side, FarEnd>): Promise<void> {
    const convert: BencodeDictionary =
      caller.codec.name === agent.codec.name
        ? {}
        : { codec: { transcode: [agent.codec.name, caller.codec.name] } };
    await this.#negotiate('offer', 'caller', 'agent', this.#describeFar(caller), convert);
    await this.#negotiate('answer', 'caller', 'agent', this.#describeFar(agent), convert);
  }

  /** Has copies of all that a far end sends come to our line. @returns from where they come */
  async tap(side: Side, far: FarEnd): Promise<Endpoint> {
    const tags = { 'call-id': this.#id, 'to-tag': tapTag(side) };
    const offered = await this.#server.ask({
      command: 'subscribe request',
      ...tags,
      'from-tag': side,
      flags: ['trust-address'],
    });
    await this.#server.ask({
      command: 'subscribe answer',
      ...tags,
      flags: ['trust-address'],
      sdp: this.#describe({
        ...this.#lines[side],
        codecs: [far.codec],
        event: far.event,
        direction: 'recvonly',
      }),
    });
    return this.#endpointOf(offered);
  }

  /** @throws NgRefused with `callUnknown` when the server has forgotten the call */
  async counts(): Promise<Record<Side, EngineCounts>> {
    const { tags } = await this.#server.ask({ command: 'query', 'call-id': this.#id });
    const of = (side: Side): EngineCounts => {
      const far = streamOf(at(tags, side));
      const subscriptions = at(at(tags, side), 'subscriptions');
      return {
        received: numberAt(at(far, 'stats'), 'packets'),
        played: numberAt(at(streamOf(at(tags, lineTag(side))), 'stats'), 'packets'),
        hearsLine:
          Array.isArray(subscriptions) &&
          subscriptions.some((each) => at(each as BencodeValue, 'tag') === lineTag(side)),
        lastPacket: numberAt(far, 'last packet'),
      };
    };
    return { caller: of('caller'), agent: of('agent') };
  }

  async end(): Promise<void> {
    await this.#server.ask({ command: 'delete', 'call-id': this.#id, 'delete delay': 0, flags: ['fast'] });
  }

  async #negotiate(
    command: 'offer' | 'answer',
    from: string,
    to: string,
    sdp: string,
    more: BencodeDictionary = {},
  ): Promise<Endpoint> {
    const reply = await this.#server.ask({
      command,
      'call-id': this.#id,
      'from-tag': from,
      'to-tag': to,
      sdp,
      flags: [...this.#flags],
      ICE: 'remove',
      ...more,
    });
    return this.#endpointOf(reply);
  }

  #endpointOf({ sdp }: BencodeDictionary): Endpoint {
    if (typeof sdp !== 'string') throw new NgIncomplete(this.#server.name, 'an SDP');
    const { address, port } = readAudio(sdp);
    return { address, port };
  }

  #describeFar({ address, port, codec, event, direction }: FarEnd): string {
    return this.#describe({ address, port, codecs: [codec], event, direction });
  }

  #describe({
    codecs,
    event,
    ...where
  }: Endpoint & {
    codecs: readonly NumberedCodec[];
    event: OurDescription['telephoneEvent'];
    direction: OurDescription['direction'];
  }): string {
    return writeOffer({
      ...where,
      codecs,
      telephoneEvent: event,
      rtcpMux: false,
      protocol: 'RTP/AVP',
      crypto: [],
      sessionId: 1,
      version: ++this.#version,
    });
  }
}

function at(value: BencodeValue | undefined, key: string): BencodeValue | undefined {
  return typeof value === 'object' && !Array.isArray(value) ? (value as BencodeDictionary)[key] : undefined;
}

function numberAt(value: BencodeValue | undefined, key: string): number {
  const number = at(value, key);
  return typeof number === 'number' ? number : 0;
}

function streamOf(tag: BencodeValue | undefined): BencodeValue | undefined {
  return first(at(first(at(tag, 'medias')), 'streams'));
}

function first(value: BencodeValue | undefined): BencodeValue | undefined {
  return Array.isArray(value) ? (value[0] as BencodeValue | undefined) : undefined;
}
