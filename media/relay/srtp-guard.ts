/** SRTP at the edge of a side: off before anybody looks into a packet, on when it is complete. */
import { isRtcp } from '../rtp/packet.ts';
import { MasterKey } from '../srtp/keys.ts';
import { SrtpReceiver, SrtpSender } from '../srtp/srtp.ts';
import { suites, type SuiteName } from '../srtp/suites.ts';
import type { SrtpKeys } from './messages.ts';
import type { PacketGuard } from './worker-side.ts';

/** Keys that a side goes back to when a re-offer fails are at most a few changes old. */
const mostContexts = 8;

interface Kept<Context> {
  suite: SuiteName;
  key: MasterKey;
  mkiBytes: number;
  context: Context;
}

/**
 * The contexts of a side's keys. A key that comes back (a re-offer that failed, a hold) finds its counter where it was:
 * begun anew, it would send two packets under one index.
 */
export class SrtpGuards implements Disposable {
  readonly #senders: Kept<SrtpSender>[] = [];
  readonly #receivers: Kept<SrtpReceiver>[] = [];

  /** @throws CryptoFailed */
  of({ suite: name, own, theirs, mkiBytes }: SrtpKeys): PacketGuard {
    const suite = suites[name];
    const sender = keep(this.#senders, { suite: name, key: MasterKey.over(own), mkiBytes: 0 }, (key) => {
      return new SrtpSender({ suite, key, mkiBytes: 0 });
    });
    const receiver = keep(this.#receivers, { suite: name, key: MasterKey.over(theirs), mkiBytes }, (key) => {
      return new SrtpReceiver({ suite, key, mkiBytes });
    });
    return {
      // RTCP on the port of RTP (RFC 5761) is told apart before it is opened: its first bytes are clear.
      open: (packet, length) =>
        Math.max(
          0,
          isRtcp(packet, length)
            ? receiver.unprotectRtcp(packet, length)
            : receiver.unprotect(packet, length),
        ),
      seal: (packet, length) => Math.max(0, sender.protect(packet, length)),
      openRtcp: (packet, length) => Math.max(0, receiver.unprotectRtcp(packet, length)),
      sealRtcp: (packet, length) => Math.max(0, sender.protectRtcp(packet, length)),
    };
  }

  [Symbol.dispose](): void {
    for (const { context } of [...this.#senders, ...this.#receivers]) context[Symbol.dispose]();
    this.#senders.length = 0;
    this.#receivers.length = 0;
  }
}

function keep<Context extends Disposable>(
  kept: Kept<Context>[],
  wanted: Omit<Kept<Context>, 'context'>,
  make: (key: MasterKey) => Context,
): Context {
  const known = kept.find(
    ({ suite, key, mkiBytes }) =>
      suite === wanted.suite && mkiBytes === wanted.mkiBytes && key.equals(wanted.key),
  );
  if (known !== undefined) return known.context;
  const context = make(wanted.key);
  kept.push({ ...wanted, context });
  if (kept.length > mostContexts) kept.shift()!.context[Symbol.dispose]();
  return context;
}
