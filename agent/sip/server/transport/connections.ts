/** The stream connections of one listener: found again by where they lead, and never more than allowed. */
import type { Connection } from './connection.ts';
import type { Address } from '../transport.ts';

export interface AdmissionLimits {
  connections: number;
  connectionsPerSource: number;
}

export const admissionLimits: AdmissionLimits = { connections: 2_000, connectionsPerSource: 64 };

export class Connections {
  readonly #limits: AdmissionLimits;
  /** By address and port; two only where a server is asked for under two names. */
  readonly #byPlace = new Map<string, Connection[]>();
  /** How many each address has opened to us, handshakes included. */
  readonly #bySource = new Map<string, number>();
  #size = 0;
  #incoming = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#size;
  }

  /** Takes one more connection from there, or says why it is one too many. Give it back with `left`. */
  admit(source: string): 'connections' | 'connections per source' | undefined {
    const count = this.#bySource.get(source) ?? 0;
    if (this.#incoming >= this.#limits.connections) return 'connections';
    if (count >= this.#limits.connectionsPerSource) return 'connections per source';
    this.#bySource.set(source, count + 1);
    this.#incoming += 1;
    return undefined;
  }

  left(source: string): void {
    const count = (this.#bySource.get(source) ?? 0) - 1;
    this.#incoming -= 1;
    if (count > 0) this.#bySource.set(source, count);
    else this.#bySource.delete(source);
  }

  /** RFC 5923: one that is open, whoever opened it; under TLS only if it was verified for the name that is asked for. */
  find(to: Address): Connection | undefined {
    const there = this.#byPlace.get(place(to)) ?? [];
    if (to.serverName === undefined) return there[0];
    return there.find(({ remote }) => remote.serverName === to.serverName);
  }

  add(connection: Connection): void {
    const key = place(connection.remote);
    this.#byPlace.set(key, [...(this.#byPlace.get(key) ?? []), connection]);
    this.#size += 1;
  }

  remove(connection: Connection): void {
    const key = place(connection.remote);
    const there = this.#byPlace.get(key) ?? [];
    const rest = there.filter((one) => one !== connection);
    if (rest.length === there.length) return;
    if (rest.length > 0) this.#byPlace.set(key, rest);
    else this.#byPlace.delete(key);
    this.#size -= 1;
  }

  closeAll(): void {
    for (const connection of [...this.#byPlace.values()].flat()) connection.close();
    this.#byPlace.clear();
    this.#size = 0;
  }
}

function place({ address, port }: Address): string {
  return `${address}|${port}`;
}
