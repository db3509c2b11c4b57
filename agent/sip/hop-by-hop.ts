/** Which headers of a request or response within a dialog reach the other side of the B2BUA, and which end here. */
import { hopHeaders } from '../../config/schema/headers.ts';

/** Beyond those of every message: they speak of a user agent or of this one response, or are set anew on each leg. */
const staysHere = new Set([
  'allow-events',
  'user-agent',
  'server',
  'timestamp',
  'session-id',
  'v',
  'f',
  't',
  'i',
  'm',
  'l',
  'k',
  'x',
]);

/** The end-to-end headers of a message, Content-Type among them, as the parser names them. */
export function endToEnd(message: { headers: Record<string, string> }): Record<string, string> {
  return Object.fromEntries(
    Object.entries(message.headers).filter(([name]) => {
      const key = name.toLowerCase();
      if (key === 'content-type') return true;
      return !hopHeaders.has(key) && !staysHere.has(key) && !key.startsWith('x-tacet-');
    }),
  );
}
