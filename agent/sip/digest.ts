/**
 * Digest authentication as a client (RFC 7616, RFC 8760 for SIP). Our own and not drachtio-srf's, which knows MD5 only
 * and signs `sip:placeholder` within a dialog (5.0.29).
 */
import { createHash, randomBytes } from 'node:crypto';

export interface Credentials {
  username: string;
  password: string;
  /** The only realm that they are for; left out: the one that the peer named when we called it first. */
  realm?: string | undefined;
}

export interface Challenge {
  realm: string;
  nonce: string;
  opaque: string | undefined;
  algorithm: Algorithm;
  /** Whether `qop="auth"` is offered; without it the old form of RFC 2069 is used. */
  auth: boolean;
  stale: boolean;
}

type Algorithm = keyof typeof hashes;

/** Best first (RFC 8760 section 2.3: the client takes the first that it knows). */
const hashes = { 'SHA-512-256': 'sha512-256', 'SHA-256': 'sha256', MD5: 'md5' } as const;

/**
 * The best challenge of a WWW-Authenticate or Proxy-Authenticate value that we can answer. Several header fields stand in
 * one value, joined by commas; what is not Digest, of an unknown algorithm or asks for `auth-int` only is passed over.
 */
export function parseChallenges(value: string): Challenge[] {
  const challenges = splitChallenges(value.slice(0, 8_192)).flatMap((parameters) => {
    const [realm, nonce] = [parameters.get('realm'), parameters.get('nonce')];
    const algorithm = (parameters.get('algorithm') ?? 'MD5').toUpperCase();
    const qop = parameters.get('qop');
    const auth = qop?.split(',').some((each) => each.trim().toLowerCase() === 'auth') ?? false;
    if (realm === undefined || nonce === undefined || !isAlgorithm(algorithm)) return [];
    if (qop !== undefined && !auth) return [];
    const stale = parameters.get('stale')?.toLowerCase() === 'true';
    return [{ realm, nonce, opaque: parameters.get('opaque'), algorithm, auth, stale }];
  });
  const rank = Object.keys(hashes);
  return challenges.sort((one, other) => rank.indexOf(one.algorithm) - rank.indexOf(other.algorithm));
}

/** The value of an Authorization or Proxy-Authorization header for one request. */
export function authorize(
  { realm, nonce, opaque, algorithm, auth }: Challenge,
  { username, password }: Credentials,
  request: { method: string; uri: string; count: number; cnonce: string },
): string {
  const hash = (text: string): string => createHash(hashes[algorithm]).update(text).digest('hex');
  const nc = request.count.toString(16).padStart(8, '0');
  const secret = hash(`${username}:${realm}:${password}`);
  const subject = hash(`${request.method}:${request.uri}`);
  const response = auth
    ? hash(`${secret}:${nonce}:${nc}:${request.cnonce}:auth:${subject}`)
    : hash(`${secret}:${nonce}:${subject}`);
  return [
    `Digest username=${quoted(username)}`,
    `realm=${quoted(realm)}`,
    `nonce=${quoted(nonce)}`,
    `uri=${quoted(request.uri)}`,
    `response="${response}"`,
    `algorithm=${algorithm}`,
    ...(auth ? [`qop=auth`, `nc=${nc}`, `cnonce="${request.cnonce}"`] : []),
    ...(opaque === undefined ? [] : [`opaque=${quoted(opaque)}`]),
  ].join(', ');
}

/** What a response says that a request must be signed for. */
export interface Demand {
  status: number;
  get(name: string): string | undefined;
}

/**
 * Signs the requests of one dialog that we started. A challenge is answered only for the realm that was given for these
 * credentials, or that challenged the dialog's first INVITE: a far end that challenges a BYE in another's name gets
 * nothing to try its dictionary on (the digest leak).
 */
export class DigestSession {
  readonly #credentials: Credentials;
  readonly #signers = new Map<string, { challenge: Challenge; count: number }>();
  #realm: string | undefined;

  constructor(credentials: Credentials) {
    this.#credentials = credentials;
    this.#realm = credentials.realm;
  }

  /**
   * Takes the challenge of a 401 or 407; false when it is not one that we answer: another realm, no algorithm of ours,
   * or credentials that were refused already.
   *
   * @param initial whether it came to the INVITE that starts the dialog
   */
  challenged(demand: Demand, initial: boolean): boolean {
    const proxy = demand.status === 407;
    const value = demand.get(proxy ? 'Proxy-Authenticate' : 'WWW-Authenticate');
    if (value === undefined || (demand.status !== 401 && !proxy)) return false;
    const known = initial ? (this.#realm ?? parseChallenges(value)[0]?.realm) : this.#realm;
    const challenge = parseChallenges(value).find(({ realm }) => realm === known);
    if (challenge === undefined) return false;
    const name = proxy ? 'Proxy-Authorization' : 'Authorization';
    const before = this.#signers.get(name);
    if (before?.challenge.nonce === challenge.nonce) return false;
    // A new nonce within the dialog is the old one's end; at its start it is a wrong password unless it says stale.
    if (initial && before !== undefined && !challenge.stale) return false;
    this.#realm = challenge.realm;
    this.#signers.set(name, { challenge, count: 0 });
    return true;
  }

  /** The headers that sign a request; none before the first challenge. */
  sign(method: string, uri: string): Record<string, string> {
    return Object.fromEntries(
      [...this.#signers].map(([name, signer]) => {
        signer.count += 1;
        const cnonce = randomBytes(8).toString('hex');
        const request = { method, uri, count: signer.count, cnonce };
        return [name, authorize(signer.challenge, this.#credentials, request)];
      }),
    );
  }
}

/** `Digest a="1", b=2, Digest c="3"` in parameter maps, one for each challenge of the Digest scheme. */
function splitChallenges(value: string): Map<string, string>[] {
  const challenges: Map<string, string>[] = [];
  let current: Map<string, string> | undefined;
  for (const part of splitOutsideQuotes(value)) {
    const equals = part.indexOf('=');
    const head = (equals < 0 ? part : part.slice(0, equals)).trim();
    const space = head.search(/\s/u);
    if (space >= 0 || equals < 0) {
      const scheme = space < 0 ? head : head.slice(0, space);
      current = scheme.toLowerCase() === 'digest' ? new Map<string, string>() : undefined;
      if (current !== undefined) challenges.push(current);
    }
    const name = (space < 0 ? head : head.slice(space)).trim().toLowerCase();
    if (equals >= 0) current?.set(name, unquoted(part.slice(equals + 1).trim()));
  }
  return challenges;
}

function splitOutsideQuotes(text: string): string[] {
  const parts: string[] = [];
  let [start, quoting] = [0, false];
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === '\\' && quoting) at += 1;
    else if (text[at] === '"') quoting = !quoting;
    else if (text[at] === ',' && !quoting) {
      parts.push(text.slice(start, at));
      start = at + 1;
    }
  }
  return [...parts, text.slice(start)];
}

function unquoted(value: string): string {
  if (!value.startsWith('"')) return value;
  return value.slice(1, value.endsWith('"') ? -1 : undefined).replaceAll(/\\(.)/gu, '$1');
}

function quoted(value: string): string {
  return `"${value.replaceAll(/["\\]/gu, String.raw`\$&`)}"`;
}

function isAlgorithm(value: string): value is Algorithm {
  return Object.hasOwn(hashes, value);
}
