/** Which rtpengine servers are there, which of them is up and fit, and which takes the next call. */
import { messageOf } from '../../config/errors.ts';
import { NgClient, type NgAddress } from './ng.ts';
import { pause } from './pause.ts';

export interface EngineServer extends NgAddress {
  /** Share of the calls beside the other servers. */
  weight: number;
}

export interface EngineState {
  server: string;
  up: boolean;
}

export interface ServersOptions {
  servers: readonly EngineServer[];
  /** How often each is asked whether it is there, milliseconds. */
  pingMs: number;
  /** Resolves when the server can do what a call needs; rejects saying what it cannot. Asked each time that it comes up. */
  trial: (client: NgClient) => Promise<void>;
  /** A server came or went, or cannot do what calls need (`why`). */
  onChange: (state: EngineState & { why: string | undefined }) => void;
  onDown: (client: NgClient, why: string) => void;
}

/** A reply that is lost, and lost again: one slow moment does not end the calls of a server. */
const missesToDown = 2;

export class Servers implements AsyncDisposable {
  readonly #options: ServersOptions;
  readonly #servers: Watched[];
  readonly #ending = new AbortController();
  readonly #watching: Promise<void>[];

  constructor(options: ServersOptions) {
    this.#options = options;
    this.#servers = options.servers.map((server) => new Watched(server));
    this.#watching = this.#servers.map((server) => this.#watch(server));
  }

  /** Those that may take a call, the least loaded for its weight first. */
  inOrder(): NgClient[] {
    return this.#servers
      .filter(({ up }) => up)
      .sort((a, b) => a.load - b.load)
      .map(({ client }) => client);
  }

  /** Resolves when each server has answered once, or has not. */
  async tried(): Promise<void> {
    await Promise.all(this.#servers.map(({ tried }) => tried.promise));
  }

  states(): EngineState[] {
    return this.#servers.map(({ client: { name }, up }) => ({ server: name, up }));
  }

  /** A call was given to the server (+1) or is over there (-1). */
  count(client: NgClient, calls: 1 | -1): void {
    const server = this.#servers.find((each) => each.client === client);
    if (server !== undefined) server.calls += calls;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    for (const { client } of this.#servers) client[Symbol.dispose]();
    await Promise.all(this.#watching);
  }

  async #watch(server: Watched): Promise<void> {
    const { signal } = this.#ending;
    let misses = 0;
    while (!signal.aborted) {
      try {
        await server.client.ask({ command: 'ping' });
        misses = 0;
        if (!server.up) await this.#options.trial(server.client);
        this.#set(server, true, undefined);
      } catch (error) {
        misses += 1;
        if (!server.up || misses >= missesToDown) this.#set(server, false, messageOf(error));
      }
      server.tried.resolve(undefined);
      await pause(this.#options.pingMs, signal);
    }
  }

  #set(server: Watched, up: boolean, why: string | undefined): void {
    if (this.#ending.signal.aborted || (server.up === up && server.why === why)) return;
    const wasUp = server.up;
    server.up = up;
    server.why = why;
    this.#options.onChange({ server: server.client.name, up, why });
    if (wasUp && !up) this.#options.onDown(server.client, why ?? 'it is gone');
  }
}

class Watched {
  readonly client: NgClient;
  readonly #weight: number;
  readonly tried = Promise.withResolvers<undefined>();
  up = false;
  why: string | undefined;
  calls = 0;

  constructor(server: EngineServer) {
    this.client = new NgClient(server);
    this.#weight = server.weight;
  }

  get load(): number {
    return (this.calls + 1) / this.#weight;
  }
}
