/** From a URI to the addresses that a request goes to, in the order in which they are tried: RFC 3263 section 4. */
import { isIP } from 'node:net';
import type { Clock } from './clock.ts';
import { Blocklist } from './resolve/blocklist.ts';
import { DnsCache } from './resolve/cache.ts';
import type { Dns } from './resolve/dns.ts';
import { inNaptrOrder, inSrvOrder } from './resolve/order.ts';
import { defaultPort } from './transport.ts';
import type { Address, Transport } from './transport.ts';
import { parseSipUri } from './uri.ts';
import type { SipUri } from './uri.ts';

export type Refusal = { refused: string };

/** What listeners there are to send from. */
export type CanSend = (transport: Transport, family?: 4 | 6) => boolean;

const transports = ['udp', 'tcp', 'tls'] as const;
/** NAPTR services (RFC 3263 section 4.1) and the SRV names that stand for them. */
const services = { udp: 'SIP+D2U', tcp: 'SIP+D2T', tls: 'SIPS+D2T' } as const;
const srvPrefixes = { udp: '_sip._udp', tcp: '_sip._tcp', tls: '_sips._tcp' } as const;

/** Of a DNS that cannot be asked for NAPTR and SRV the hosts file may still know the address, which decides. */
const none = (): never[] => [];

const invalid = (uri: string): Refusal => ({ refused: `invalid request-uri: ${uri}` });
const unavailable: Refusal = { refused: 'requested protocol/transport not available' };

export class Resolver {
  readonly blocklist: Blocklist;
  readonly #dns: DnsCache;
  readonly #canSend: CanSend;
  readonly #random: () => number;

  constructor(dns: Dns, clock: Clock, canSend: CanSend, random: () => number = Math.random) {
    this.#dns = new DnsCache(dns, clock);
    this.blocklist = new Blocklist(clock);
    this.#canSend = canSend;
    this.#random = random;
  }

  /** Answers of the DNS that were used past their time. */
  get stale(): number {
    return this.#dns.stale;
  }

  /** What can be told without the DNS: the address of a literal, or why there is none. */
  literal(uri: string): Address | Refusal | undefined {
    const parsed = parseSipUri(uri);
    if (!parsed) return invalid(uri);
    const transport = chosenTransport(parsed);
    if (transport === 'unknown' || (transport !== undefined && !this.#canSend(transport))) return unavailable;
    const host = hostOf(parsed);
    if (isIP(host) === 0) return undefined;
    const family = isIP(host) === 6 ? 6 : 4;
    // UDP where nothing is said (RFC 3263 section 4.1). With TCP alone here, a peer who leaves it out of its Contact means TCP.
    const chosen = transport ?? (this.#canSend('udp', family) ? 'udp' : 'tcp');
    if (!this.#canSend(chosen, family)) return unavailable;
    return target(chosen, host, parsed.port ?? defaultPort(chosen), parsed);
  }

  /** All addresses of a name, best first; none when it has none, or the DNS does not say and never did. */
  async targets(uri: string): Promise<Address[]> {
    const literal = this.literal(uri);
    if (literal) return 'refused' in literal ? [] : [literal];
    const parsed = parseSipUri(uri);
    if (!parsed) return [];
    try {
      return this.blocklist.lastOf(await this.#named(parsed));
    } catch {
      // No resolver, no answer: the caller makes up the 503 that RFC 3263 section 4.3 asks for.
      return [];
    }
  }

  async #named(uri: SipUri): Promise<Address[]> {
    const host = hostOf(uri);
    const chosen = chosenTransport(uri) as Transport | undefined;
    if (uri.port !== undefined) return this.#addresses(uri, chosen ?? 'udp', host, uri.port);
    const usable = transports.filter((transport) => this.#canSend(transport));
    const records =
      chosen === undefined
        ? await this.#naptr(host, usable)
        : [{ transport: chosen, name: `${srvPrefixes[chosen]}.${host}` }];
    const ways =
      records.length > 0
        ? records
        : usable
            .filter((transport) => uri.scheme !== 'sips' || transport === 'tls')
            .map((transport) => ({ transport, name: `${srvPrefixes[transport]}.${host}` }));
    for (const { transport, name } of ways) {
      const found = await this.#services(uri, transport, name);
      if (found.length > 0) return found;
    }
    const fallback = chosen ?? usable[0] ?? 'udp';
    return this.#addresses(uri, fallback, host, defaultPort(fallback));
  }

  /** The transports that the domain offers, in the order that it prefers, with the SRV name of each. */
  async #naptr(
    host: string,
    usable: readonly Transport[],
  ): Promise<{ transport: Transport; name: string }[]> {
    const records = await this.#dns.query('NAPTR', host).then((answer) => answer.records, none);
    return inNaptrOrder(records).flatMap(({ flags, service, replacement }) => {
      const transport = usable.find((one) => services[one] === service.toUpperCase());
      return transport !== undefined && flags.toLowerCase() === 's' ? [{ transport, name: replacement }] : [];
    });
  }

  async #services(uri: SipUri, transport: Transport, name: string): Promise<Address[]> {
    const records = await this.#dns.query('SRV', name).then((answer) => answer.records, none);
    // RFC 2782: a single "." says that there is decidedly no such service.
    const offered = records.filter((record) => record.name !== '.' && record.name !== '');
    const found = await Promise.all(
      inSrvOrder(offered, this.#random).map((record) =>
        this.#addresses(uri, transport, record.name, record.port).catch(none),
      ),
    );
    return found.flat();
  }

  async #addresses(uri: SipUri, transport: Transport, name: string, port: number): Promise<Address[]> {
    const asked = (['A', 'AAAA'] as const).filter((type) => this.#canSend(transport, type === 'A' ? 4 : 6));
    const answers = await Promise.allSettled(asked.map((type) => this.#dns.query(type, name)));
    const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value.records : []));
    const failed = answers.find((answer) => answer.status === 'rejected');
    if (found.length === 0 && failed) throw failed.reason;
    return found.map((address) => target(transport, address, port, uri));
  }
}

/** `undefined` where the URI leaves it open, `unknown` where it asks for one that is none of ours. */
function chosenTransport({ scheme, params }: SipUri): Transport | 'unknown' | undefined {
  const asked = params.get('transport')?.toLowerCase();
  if (scheme === 'sips') return asked === undefined || asked === 'tcp' || asked === 'tls' ? 'tls' : 'unknown';
  if (asked === undefined) return undefined;
  return transports.find((one) => one === asked) ?? 'unknown';
}

function hostOf({ host, params }: SipUri): string {
  return params.get('maddr') ?? host;
}

/** RFC 5922 section 7.3: the certificate must name the domain of the URI, not the server that the DNS led to. */
function target(transport: Transport, address: string, port: number, { host }: SipUri): Address {
  return transport === 'tls' ? { transport, address, port, serverName: host } : { transport, address, port };
}
