/** Dialogs as others name them: Replaces (RFC 3891), alone or within Refer-To (RFC 3515, RFC 5589). */

/** A dialog as the one who receives the Replaces sees it: `toTag` is its own tag, `fromTag` the other's. */
export interface Replaces {
  callId: string;
  toTag: string;
  fromTag: string;
  earlyOnly: boolean;
}

/** Reads a Replaces value; undefined where it is none. */
export function readReplaces(value: string): Replaces | undefined {
  const [callId = '', ...params] = value.split(';').map((part) => part.trim());
  const tag = (name: string): string | undefined =>
    params.find((param) => param.toLowerCase().startsWith(`${name}=`))?.slice(name.length + 1);
  const [toTag, fromTag] = [tag('to-tag'), tag('from-tag')];
  if (callId === '' || toTag === undefined || fromTag === undefined) return undefined;
  return { callId, toTag, fromTag, earlyOnly: params.some((param) => param.toLowerCase() === 'early-only') };
}

export function writeReplaces({ callId, toTag, fromTag, earlyOnly }: Replaces): string {
  return `${callId};to-tag=${toTag};from-tag=${fromTag}${earlyOnly ? ';early-only' : ''}`;
}

export interface ReferTo {
  /** The target without its headers, e.g. `sip:200@192.0.2.1`. */
  uri: string;
  replaces: Replaces | undefined;
}

/** Reads Refer-To, a name-addr or an addr-spec with escaped headers; undefined where it names nobody by SIP or tel. */
export function readReferTo(value: string): ReferTo | undefined {
  const open = value.indexOf('<');
  const close = value.indexOf('>', open);
  const whole = open < 0 ? (value.split(';', 1)[0] ?? '') : close < 0 ? '' : value.slice(open + 1, close);
  const [uri, headers] = splitAt(whole.trim(), '?');
  if (!/^(sips?|tel):./iu.test(uri)) return undefined;
  for (const header of headers.split('&')) {
    const [name, escaped] = splitAt(header, '=');
    if (name.toLowerCase() === 'replaces') return { uri, replaces: readReplaces(unescaped(escaped)) };
  }
  return { uri, replaces: undefined };
}

/** A Refer-To in which the target is asked to take the place of a dialog. */
export function writeReferTo({ uri, replaces }: ReferTo): string {
  if (replaces === undefined) return `<${uri}>`;
  return `<${uri}?Replaces=${encodeURIComponent(writeReplaces(replaces))}>`;
}

function splitAt(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}
