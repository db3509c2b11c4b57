/**
 * The store link's words (design section 8): text frames are control, JSON checked by schema at both ends; binary frames
 * carry batches of RTP. A recording's binary frames are numbered from 0; its *position* is the number of frames that are
 * on stable storage. Frames below the position are repeats and are dropped; a hole is an error.
 */
import { z } from 'zod';
import { messageOf, TacetError } from '../../config/errors.ts';
import type { DestroyReceipt, Gap, RecordingEnd, RecordingHeader } from './sink.ts';

/** Since version 2 acknowledgements and binary frames are of several recordings; ends of different versions refuse each other. */
export const subprotocol = 'tacet.rec.v2';

/** Close codes of ours (RFC 6455 section 7.4.2: 4000-4999 are private). */
export const closeCodes = { malformed: 4000, unauthorised: 4001, hole: 4002 } as const;

/** What the other end sent is not of this protocol. */
export class LinkMalformed extends TacetError {}

const text = z.string().min(1).max(500);
const stream = z.int().min(0).max(0xffff_ffff);
const count = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const micros = z.int().min(0);
const id = z.string().regex(/^[0-9A-Za-z-]{1,64}$/u, 'letters, digits and dashes, 64 at most');
const codecs = z.record(z.string().regex(/^\d{1,3}$/u), text);
const bySide = z.strictObject({ caller: count, agent: count });

const header = z.strictObject({
  recording: id,
  call: id,
  campaign: text,
  purpose: text,
  class: text,
  legalBasis: text,
  controller: text,
  law: z.array(text).min(1).max(32),
  retainUntil: z.iso.datetime(),
  afterSignatureMonths: z.int().min(1).max(1_200).exactOptional(),
  allowedBy: z.string().regex(/^[0-9a-f]{64}$/u),
  startedAt: micros,
  codecs: z.strictObject({ caller: codecs, agent: codecs }),
  parties: z.strictObject({ caller: text, agent: text }),
});
const gap = z.strictObject({
  side: z.enum(['caller', 'agent']),
  from: micros,
  to: micros,
  kind: z.enum(['hold', 'paused', 'lost', 'no-rtp', 'masked']),
});
const end = z.strictObject({
  reason: z.enum(['hangup', 'stopped', 'fax', 'interrupted', 'media-lost', 'transfer', 'law']),
  totals: z.strictObject({ stoppedAt: micros, packets: bySide, bytes: bySide }),
});
const destroyReason = z.enum([
  'refused',
  'not-told',
  'stopped-by-supervisor',
  'private-call',
  'retention',
  'erasure-request',
]);
const receipt = z.strictObject({
  recording: id,
  destroyedAt: z.iso.datetime(),
  bytes: count,
  proof: z.string(),
});

const agentMessage = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('hello'), agent: text, boot: text }),
  z.strictObject({ type: z.literal('open'), stream, header }),
  z.strictObject({ type: z.literal('gap'), stream, gap }),
  z.strictObject({ type: z.literal('close'), stream, end, frames: count }),
  z.strictObject({ type: z.literal('destroy'), recording: id, reason: destroyReason }),
]);

const storeMessage = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('welcome'), credit: count }),
  z.strictObject({ type: z.literal('opened'), stream, position: count }),
  z.strictObject({ type: z.literal('refused'), stream, reason: text }),
  z.strictObject({ type: z.literal('ack'), positions: z.array(z.tuple([stream, count])) }),
  z.strictObject({ type: z.literal('credit'), bytes: count }),
  z.strictObject({ type: z.literal('closed'), stream }),
  z.strictObject({ type: z.literal('destroyed'), receipt }),
  z.strictObject({ type: z.literal('error'), reason: text }),
]);

export type AgentMessage =
  | { type: 'hello'; agent: string; boot: string }
  | { type: 'open'; stream: number; header: RecordingHeader }
  | { type: 'gap'; stream: number; gap: Gap }
  | { type: 'close'; stream: number; end: RecordingEnd; frames: number }
  | { type: 'destroy'; recording: RecordingHeader['recording']; reason: z.infer<typeof destroyReason> };

export type StoreMessage =
  /** The first word: how many bytes of batches may be under way. */
  | { type: 'welcome'; credit: number }
  /** Taken (again): frames from `position` on are wanted. */
  | { type: 'opened'; stream: number; position: number }
  | { type: 'refused'; stream: number; reason: string }
  /** Positions of several streams, since they reach stable storage together. */
  | { type: 'ack'; positions: [stream: number, position: number][] }
  /** So many bytes more may be under way. */
  | { type: 'credit'; bytes: number }
  | { type: 'closed'; stream: number }
  | { type: 'destroyed'; receipt: DestroyReceipt }
  | { type: 'error'; reason: string };

/** @throws LinkMalformed */
export function parseAgentMessage(frame: string): AgentMessage {
  return parse(agentMessage, frame) as AgentMessage;
}

/** @throws LinkMalformed */
export function parseStoreMessage(frame: string): StoreMessage {
  return parse(storeMessage, frame) as StoreMessage;
}

function parse(schema: z.ZodType, frame: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(frame);
  } catch (error) {
    throw new LinkMalformed(`not JSON: ${messageOf(error)}`);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0]!;
  throw new LinkMalformed(`${path.join('.') || 'message'}: ${message}`);
}

/** A batch on its way. `sealed`: readable by the store alone, because it lay on the agent's disk (I7). */
export interface Frame {
  sealed: boolean;
  stream: number;
  number: number;
  batch: Uint8Array;
}

const frameHeaderBytes = 13;

/** Bytes of a frame as it goes over the link. */
export function frameBytes({ batch }: Frame): number {
  return frameHeaderBytes + batch.length;
}

/**
 * A binary message: frames behind one another, since a message costs more than what it carries. Each: kind (1 plain,
 * 2 sealed), stream (u32), number (u32), length of the batch (u32), the batch.
 */
export function encodeFrames(frames: readonly Frame[]): Uint8Array {
  const bytes = new Uint8Array(frames.reduce((sum, frame) => sum + frameBytes(frame), 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const { sealed, stream: of, number, batch } of frames) {
    view.setUint8(at, sealed ? 2 : 1);
    view.setUint32(at + 1, of);
    view.setUint32(at + 5, number);
    view.setUint32(at + 9, batch.length);
    bytes.set(batch, at + frameHeaderBytes);
    at += frameHeaderBytes + batch.length;
  }
  return bytes;
}

/** The frames of a message; their batches share its memory. @throws LinkMalformed */
export function decodeFrames(bytes: Uint8Array): Frame[] {
  if (bytes.length === 0) throw new LinkMalformed('an empty binary message');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const frames: Frame[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + frameHeaderBytes > bytes.length) throw new LinkMalformed(`byte ${at}: a frame is cut short`);
    const kind = view.getUint8(at);
    if (kind !== 1 && kind !== 2) throw new LinkMalformed(`byte ${at}: a frame of kind ${kind}`);
    const start = at + frameHeaderBytes;
    const end = start + view.getUint32(at + 9);
    if (end === start || end > bytes.length)
      throw new LinkMalformed(`byte ${at}: a batch of ${end - start} bytes`);
    frames.push({
      sealed: kind === 2,
      stream: view.getUint32(at + 1),
      number: view.getUint32(at + 5),
      batch: bytes.subarray(start, end),
    });
    at = end;
  }
  return frames;
}
