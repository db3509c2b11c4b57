/**
 * What the way of a packet must know of a side, in one piece of memory: four cache lines, two for what comes from its far
 * end and two for what goes there. A worker with a thousand sides that went from object to object waited longer for
 * memory than for its own instructions (measured: 3 us a packet). The agent's side follows the caller's. The memory is
 * shared with the main thread, which reads statistics out of it; only the worker writes.
 */
import { receiverWords, startReceiver } from '../rtp/receiver.ts';
import { startStream, streamWords } from '../rtp/stream.ts';

export const sideWords = {
  /** A receiver's numbers (`media/rtp/receiver.ts`). */
  receiver: 0,
  /** Arrival of the last packet: microseconds since the epoch; 0 when none came. */
  lastPacketAt: receiverWords.size,
  /** The same by `performance.now()`. */
  lastTakenAt: 11,
  fd: 12,
  /** Bits of `receiving`. */
  receiving: 13,
  /** Payload type of the far end's audio, and its route to the other side (`routes.ts`). */
  audioType: 14,
  audioRoute: 15,
  /** A stream's numbers (`media/rtp/stream.ts`). */
  stream: 16,
  /** Bits of `sending`. */
  sending: 16 + streamWords.size,
  /** The same as `fd`, on the other cache line. */
  sendingFd: 27,
  packetsSent: 28,
  /** SSRC whose numbers the stream follows; -1 for none. */
  source: 29,
  wrongSource: 30,
  /** Payload bytes sent, as a sender report counts them (RFC 3550 section 6.4.1). */
  octetsSent: 31,
  size: 32,
} as const;

export const receiving = {
  /** The kernel hands over only what is the far end's, and it is plain RTP. */
  vouched: 1,
  forked: 2,
  /** Its audio is listened to: for keys that come as tones, or for words. */
  listened: 4,
} as const;

export const sending = {
  /** The far end wants to hear us, and no prompt is on its way to it. */
  open: 1,
  /** The socket is connected, and plain RTP may go out as it is. */
  direct: 2,
} as const;

export const sideBytes = sideWords.size * Float64Array.BYTES_PER_ELEMENT;

export function startSide(words: Float64Array, side: number, fd: number): void {
  const first = side * sideWords.size;
  words.fill(0, first, first + sideWords.size);
  startReceiver(words, first + sideWords.receiver);
  startStream(words, first + sideWords.stream);
  words[first + sideWords.fd] = fd;
  words[first + sideWords.sendingFd] = fd;
  words[first + sideWords.source] = -1;
}
