/** Keys for SRTP in SDP: `a=crypto` lines, read and written (RFC 4568). A key line is never quoted in an error or a log. */
import { MasterKey } from '../srtp/keys.ts';
import { isSuite, suites, type Suite } from '../srtp/suites.ts';
import type { SdpLine } from './session.ts';

/** One line: the key that who wrote it sends with (section 4.3). */
export interface CryptoLine {
  tag: number;
  suite: Suite;
  key: MasterKey;
  /** Bytes of the key identifier that each packet carries; 0 for none. */
  mkiBytes: number;
}

const longestMkiBytes = 128;

/** The lines that we can keep to, in their order; others are passed over, as an unknown suite is (section 5.1.2). */
export function readCrypto(lines: readonly SdpLine[]): CryptoLine[] {
  return lines.flatMap(({ type, value }) =>
    type === 'a' && value.startsWith('crypto:') ? (readLine(value.slice('crypto:'.length)) ?? []) : [],
  );
}

/** `a=crypto` without its `a=`. Undefined: malformed, a suite that is not ours, or terms that are not. */
function readLine(value: string): CryptoLine | undefined {
  const [tag = '', name = '', keys = '', ...parameters] = value.split(' ').filter((word) => word !== '');
  if (!/^\d{1,9}$/u.test(tag) || !isSuite(name) || !parameters.every(isHarmless)) return undefined;
  // Several keys, told apart by an identifier, are for senders that change between them without a word.
  const inline = /^inline:([^;|]+)((?:\|[^;|]*)*)$/u.exec(keys);
  if (inline === null) return undefined;
  const suite = suites[name];
  const [, key = '', more = ''] = inline;
  const mkiBytes = readKeyParameters(more.split('|').slice(1));
  if (mkiBytes === undefined || !/^[A-Za-z0-9+/]+={0,2}$/u.test(key)) return undefined;
  const bytes = Buffer.from(key, 'base64');
  if (bytes.length !== suite.keyBytes + suite.saltBytes) return undefined;
  return { tag: Number(tag), suite, key: MasterKey.take(bytes), mkiBytes };
}

/**
 * `lifetime` and `MKI:length`, either of which may be missing (section 6.1). A lifetime of a key counts packets, and the
 * shortest that is of use outlasts a call; who wants it shorter sends a new key.
 */
function readKeyParameters(parts: string[]): number | undefined {
  let mkiBytes = 0;
  for (const [at, part] of parts.entries()) {
    const identifier = /^\d{1,40}:(\d{1,3})$/u.exec(part);
    if (identifier !== null && at === parts.length - 1) {
      mkiBytes = Number(identifier[1]);
      if (mkiBytes === 0 || mkiBytes > longestMkiBytes) return undefined;
    } else if (at !== 0 || !/^(?:2\^\d{1,2}|\d{1,15})$/u.test(part)) {
      return undefined;
    }
  }
  return mkiBytes;
}

/** Session parameters that change nothing in how packets are protected (section 6.3); any other is not acceptable. */
function isHarmless(parameter: string): boolean {
  return parameter === 'KDR=0' || /^WSH=\d{1,4}$/u.test(parameter);
}

/** The line without its `a=`. The key is in it in clear. */
export function writeCrypto({ tag, suite, key }: Omit<CryptoLine, 'mkiBytes'>): string {
  const bytes = Buffer.from(Uint8Array.from(new Uint8Array(key.memory)));
  const line = `crypto:${tag} ${suite.name} inline:${bytes.toString('base64')}`;
  bytes.fill(0);
  return line;
}
