/** The control port: which applications are connected, and which of them takes a request. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import type { Clock } from '../clock.ts';
import type { Listener } from '../transport.ts';
import { hostPort } from '../uri.ts';
import { ControlConnection } from './connection.ts';
import type { Requests } from './connection.ts';

/** An application says who it is at once; whoever does not is none. */
const loginMs = 5_000;
/** That are connected and have not said who they are. */
const maxStrangers = 16;

export interface ControlUser extends Omit<Requests, 'authenticate' | 'hostports'> {
  connected(): void;
}

export class ControlPort {
  readonly secret = randomBytes(24).toString('base64url');
  readonly #clock: Clock;
  readonly #listeners: () => readonly Listener[];
  readonly #user: ControlUser;
  readonly #server: Server;
  readonly #connections = new Set<ControlConnection>();
  #turn = 0;

  /** @param listeners what applications are told that there is */
  constructor(clock: Clock, listeners: () => readonly Listener[], user: ControlUser) {
    this.#clock = clock;
    this.#listeners = listeners;
    this.#user = user;
    this.#server = createServer((socket) => this.#take(socket));
  }

  /** Binds a free port on loopback; gives it. */
  async listen(): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(0, '127.0.0.1', resolve);
    });
    const bound = this.#server.address();
    return typeof bound === 'object' && bound !== null ? bound.port : 0;
  }

  get applications(): number {
    return this.#authenticated.length;
  }

  /** The application whose turn it is among those that take this method. */
  route(method: string): ControlConnection | undefined {
    const takers = this.#authenticated.filter(({ routes }) => routes.has(method));
    this.#turn += 1;
    return takers[this.#turn % Math.max(1, takers.length)];
  }

  async close(): Promise<void> {
    const gone = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const connection of this.#connections) connection.close();
    await gone;
  }

  get #authenticated(): ControlConnection[] {
    return [...this.#connections].filter(({ authenticated }) => authenticated);
  }

  #take(socket: Socket): void {
    if (this.#connections.size - this.applications >= maxStrangers) {
      socket.destroy();
      return;
    }
    const login = this.#clock.after(loginMs, () => socket.destroy());
    const connection = new ControlConnection(socket, this.#clock, {
      ...this.#user,
      authenticate: (_, given) => {
        const right = timingSafeEqual(digest(given), digest(this.secret));
        if (right) {
          login.cancel();
          this.#user.connected();
        }
        return right;
      },
      hostports: () => ({
        advertised: this.#listeners()
          .map(({ transport, host, port }) => `${transport}/${hostPort(host, port)}`)
          .join(','),
        bound: this.#listeners()
          .map(({ transport, address, port }) => `${transport}/${hostPort(address, port)}`)
          .join(','),
      }),
      lost: (owner) => {
        login.cancel();
        this.#connections.delete(owner);
        this.#user.lost(owner);
      },
    });
    this.#connections.add(connection);
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
