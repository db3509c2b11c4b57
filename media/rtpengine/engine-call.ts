/**
 * One call at an rtpengine server. Four tags: the two far ends, and for each of them a line of ours through which it
 * is told; besides, for each a subscription that brings us copies of all it sends. A far end is in dialogue either with our line ("apart") or with the
 * other far end ("joined"); its port at the server is the same in both.
 */
import type { Side } from '../../config/units.ts';
import type { Latching } from '../relay/messages.ts';
import type { Place } from '../relay/negotiation.ts';
import { readAudio, type OurDescription } from '../sdp/audio.ts';
import type { NumberedCodec } from '../sdp/choice.ts';
import type { BencodeDictionary, BencodeValue } from './bencode.ts';
import { anything, NgCall, type Described } from './ng-call.ts';
import type { NgClient } from './ng.ts';

/** A far end as the server must know it. */
export interface FarEnd extends Place {
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

const lineTag = (side: Side): string => `line-${side}`;
const tapTag = (side: Side): string => `tap-${side}`;

export class EngineCall {
  readonly #call: NgCall;
  readonly #lines: Record<Side, Place>;

  /**
   * @param lines    where our own sockets are, as the server sees them
   * @param latching from whom the server takes the far ends' RTP
   */
  constructor(server: NgClient, id: string, lines: Record<Side, Place>, latching: Latching) {
    this.#call = new NgCall(server, id, latching);
    this.#lines = lines;
  }

  /** Reserves a side's ports. @returns where its far end is to send @throws NgUnanswered @throws NgRefused */
  async reserve(side: Side): Promise<Place> {
    const ours: Described = { ...this.#lines[side], ...anything, direction: 'sendonly' };
    return placeOf(await this.#call.negotiate('offer', lineTag(side), side, ours));
  }

  /** Puts a far end in dialogue with our line. @returns where the line sends what the far end is to hear */
  async part(side: Side, far: FarEnd): Promise<Place> {
    const ours: Described = {
      ...this.#lines[side],
      codecs: [far.codec],
      event: far.event,
      direction: 'sendonly',
    };
    await this.#call.negotiate('offer', lineTag(side), side, ours);
    return placeOf(await this.#call.negotiate('answer', lineTag(side), side, described(far)));
  }

  /** Puts the far ends in dialogue with each other; G.711 of either law is converted where they differ. */
  async join({ caller, agent }: Record<Side, FarEnd>): Promise<void> {
    const convert: BencodeDictionary =
      caller.codec.name === agent.codec.name
        ? {}
        : { codec: { transcode: [agent.codec.name, caller.codec.name] } };
    await this.#call.negotiate('offer', 'caller', 'agent', described(caller), convert);
    await this.#call.negotiate('answer', 'caller', 'agent', described(agent), convert);
  }

  /** Has copies of all that a far end sends come to our line. @returns from where they come */
  async tap(side: Side, far: FarEnd): Promise<Place> {
    const flags = ['trust-address'];
    const offered = await this.#call.ask('subscribe request', {
      'to-tag': tapTag(side),
      'from-tag': side,
      flags,
    });
    const ours = {
      ...this.#lines[side],
      codecs: [far.codec],
      event: far.event,
      direction: 'recvonly',
    } as const;
    await this.#call.ask('subscribe answer', {
      'to-tag': tapTag(side),
      flags,
      sdp: this.#call.describe(ours),
    });
    return placeOf(this.#call.sdpIn(offered));
  }

  /** @throws NgRefused with `callUnknown` when the server has forgotten the call */
  async counts(): Promise<Record<Side, EngineCounts>> {
    const { tags } = await this.#call.ask('query');
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
    await this.#call.end();
  }
}

function described({ address, port, codec, event, direction }: FarEnd): Described {
  return { address, port, codecs: [codec], event, direction };
}

function placeOf(sdp: string): Place {
  const { address, port } = readAudio(sdp);
  return { address, port };
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
