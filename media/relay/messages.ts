/** What the main thread and a relay worker say to each other. Sides are numbered: 0 the caller's, 1 the agent's. */
import type { CodecName } from '../codec/formats.ts';
import type { Digit } from '../plane.ts';
import type { Encoded } from '../prompts/encoded.ts';
import type { SuiteName } from '../srtp/suites.ts';
import type { EpochMicros, Side } from '../../config/units.ts';
import type { MessagePort } from 'node:worker_threads';
import type { EpochOffset } from './clock.ts';

export type SideNumber = 0 | 1;
export const sideNames: readonly Side[] = ['caller', 'agent'];

/**
 * From whom a side takes RTP. `signalled`: only from the address and port in its SDP. `address`: from any port of that
 * address until one is locked (NAT), the signalled one winning whenever it speaks up.
 */
export type Latching = 'signalled' | 'address';

/** What a side's far end agreed to, as far as packets are concerned. */
export interface SideTerms {
  /** Where the far end hears, from its SDP. */
  address: string;
  port: number;
  rtcpPort: number;
  codec: CodecName;
  /** RTP timestamp ticks a second of the audio. */
  clockRate: number;
  /** Payload types in what we send to the far end. */
  audioType: number;
  eventType: number | undefined;
  /** Ticks a second in which keys count their duration. */
  eventClockRate: number;
  /** Payload types in what the far end sends to us, beyond the above, when our own offer numbered them otherwise. */
  receivedAudioType: number | undefined;
  receivedEventType: number | undefined;
  /** Comfort noise (RFC 3389) in either direction, where it is not the static 13. */
  comfortNoiseType?: number | undefined;
  /** RTCP shares the RTP port (RFC 5761). */
  rtcpMux?: boolean;
  /** Where RTCP goes when it is another address than RTP (RFC 3605). */
  rtcpAddress?: string | undefined;
  /** Whether the far end wants to hear us now (RFC 3264 section 8.4: not while it holds us inactive or sendonly). */
  listening: boolean;
  /** How packets of this side are protected on the wire; undefined: plain RTP. */
  srtp: SrtpKeys | undefined;
}

/** Keys on their way to a worker: in memory that both see, so that they can be zeroed in one place. */
export interface SrtpKeys {
  suite: SuiteName;
  /** What we send with, and what the far end sends with. */
  own: SharedArrayBuffer;
  theirs: SharedArrayBuffer;
  /** Bytes of the key identifier in what the far end sends. */
  mkiBytes: number;
}

/** Sockets of a side. The main thread opens and closes them, so that none outlives a worker that died. */
export interface SideSockets {
  rtp: number;
  rtcp: number;
  latching: Latching;
}

export interface WorkerData {
  commands: MessagePort;
  /** File descriptors of the set that the worker waits on, and of the bell that is rung for a command. */
  epoll: number;
  bell: number;
  epochOffset: EpochOffset;
  /** `Float64Array` of the plane's totals, indexed by `totals`. */
  totals: SharedArrayBuffer;
  /** Of the worker's sides (`side-memory.ts`). */
  memory: SharedArrayBuffer;
}

export const totals = {
  packetsReceived: 0,
  packetsSent: 1,
  'wrong-source': 2,
  malformed: 3,
  'unknown-payload': 4,
  unauthentic: 5,
  size: 6,
} as const;

export type Command =
  | {
      do: 'open';
      session: number;
      /** Number of the caller's side in the worker's memory (`side-memory.ts`), even; the agent's follows. */
      place: number;
      sides: [SideSockets, SideSockets];
    }
  | { do: 'close'; session: number }
  | { do: 'agree'; session: number; side: SideNumber; terms: SideTerms | undefined }
  | { do: 'connect'; session: number; connected: boolean }
  | { do: 'play'; session: number; side: SideNumber; playback: number; audio: Encoded; repeat: boolean }
  | { do: 'hush'; session: number; side: SideNumber; playback: number }
  | { do: 'listen'; session: number; side: SideNumber; port: MessagePort }
  | { do: 'unlisten'; session: number; side: SideNumber }
  | { do: 'fork'; session: number; fork: number }
  | { do: 'pause'; session: number; paused: boolean }
  | { do: 'unfork'; session: number };

export interface Numbered {
  id: number;
  command: Command;
}

/** Answer to `unfork`; the plain commands answer with the instant at which they took effect. */
export interface ForkCounts {
  at: EpochMicros;
  packets: [number, number];
  bytes: [number, number];
}

export type Report =
  | { tell: 'done'; id: number; at: EpochMicros }
  | { tell: 'unforked'; id: number; counts: ForkCounts }
  | { tell: 'failed'; id: number; reason: string }
  | { tell: 'digit'; session: number; side: SideNumber; digit: Digit; at: EpochMicros }
  | { tell: 'played'; playback: number; frames: number; complete: boolean }
  /** Copies of several forks (`media/relay/parcel.ts`). */
  | { tell: 'copies'; parcel: Uint8Array<ArrayBuffer> };

/** Every packet that Tacet sends or plays holds this much audio. */
export const frameMs = 20;
