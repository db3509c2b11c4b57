/** Responses that the transaction layer does not repeat: 2xx until the ACK, reliable 1xx until the PRACK. */
import type { Alarm } from './clock.ts';
import type { Stack } from './stack.ts';

export interface Repeated {
  cancel(): void;
}

/**
 * Calls `send` after T1, 2*T1, 4*T1 ... until cancelled, and `giveUp` once after 64*T1.
 *
 * @param longestMs T2 for a 2xx (RFC 3261 section 13.3.1.4), no bound for a reliable 1xx (RFC 3262 section 3)
 */
export function repeat(stack: Stack, send: () => void, giveUp: () => void, longestMs = Infinity): Repeated {
  let intervalMs = stack.timers.t1Ms;
  let resend: Alarm;
  const arm = () => {
    resend = stack.after(intervalMs, () => {
      stack.counted.retransmissions += 1;
      intervalMs = Math.min(intervalMs * 2, longestMs);
      arm();
      send();
    });
  };
  arm();
  const end = stack.after(stack.giveUpMs, () => {
    resend.cancel();
    giveUp();
  });
  return {
    cancel() {
      resend.cancel();
      end.cancel();
    },
  };
}
