import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { connect } from '../../../agent/sampling/redis-connection.ts';
import { RedisServer } from '../../peers/redis.ts';

/** A sentinel whose answers the test holds back, as no real one can be made to. */
class HeldSentinel implements AsyncDisposable {
  master: number;
  readonly #server = createServer((client) => this.#serve(client));
  readonly #clients = new Set<Socket>();
  readonly #subscribers = new Set<Socket>();
  readonly #events = new EventTarget();
  #held: Socket[] | undefined;

  private constructor(master: number) {
    this.master = master;
  }

  static async start(master: number): Promise<HeldSentinel> {
    const sentinel = new HeldSentinel(master);
    sentinel.#server.listen(0, '127.0.0.1');
    await once(sentinel.#server, 'listening');
    return sentinel;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Resolves when somebody has subscribed to what becomes of the master. */
  async subscribed(): Promise<void> {
    while (this.#subscribers.size === 0) await once(this.#events, 'subscribed');
  }

  hold(): void {
    this.#held = [];
  }

  /** Resolves when somebody has asked for the master and waits. */
  async asked(): Promise<void> {
    while (this.#held!.length === 0) await once(this.#events, 'asked');
  }

  answer(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const client of held) this.#tellMaster(client);
  }

  /** Resolves when those who were told have let go of what they had. */
  async announce(): Promise<void> {
    for (const client of this.#subscribers) {
      client.write('>3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$1\r\nx\r\n');
    }
    while (this.#subscribers.size > 0) await once(this.#events, 'left');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const client of this.#clients) client.destroy();
    await once(this.#server, 'close');
  }

  #serve(client: Socket): void {
    this.#clients.add(client);
    client.on('error', () => undefined);
    client.on('close', () => {
      this.#clients.delete(client);
      this.#subscribers.delete(client);
      this.#events.dispatchEvent(new Event('left'));
    });
    client.on('data', (bytes) => {
      // Each command of ioredis begins with its number of words.
      for (const command of bytes.toString().split(/(?=\*\d+\r\n)/u)) {
        if (/get-master-addr/u.test(command)) this.#asked(client);
        else if (/subscribe/u.test(command)) this.#subscribe(client);
        else client.write('+OK\r\n');
      }
    });
  }

  #asked(client: Socket): void {
    if (this.#held === undefined) this.#tellMaster(client);
    else this.#held.push(client);
    this.#events.dispatchEvent(new Event('asked'));
  }

  #subscribe(client: Socket): void {
    client.write('>3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n');
    this.#subscribers.add(client);
    this.#events.dispatchEvent(new Event('subscribed'));
  }

  #tellMaster(client: Socket): void {
    const port = `${this.master}`;
    client.write(`*2\r\n$9\r\n127.0.0.1\r\n$${port.length}\r\n${port}\r\n`);
  }
}

test('a new master that is announced while a sentinel is asked for the old one is connected to', async () => {
  await using before = await RedisServer.start();
  await using after = await RedisServer.start();
  await using sentinel = await HeldSentinel.start(before.port);
  const redis = connect(
    { sentinels: [{ host: '127.0.0.1', port: sentinel.port }], master: 'counts' },
    { hungMs: 60_000, fenceMs: 0 },
  );
  redis.on('error', () => undefined);
  await once(redis, 'ready');
  await sentinel.subscribed();
  sentinel.hold();
  await before.kill();
  await sentinel.asked();
  sentinel.master = after.port;
  // Not `once`: the lost connection is an error on the way.
  const ready = new Promise((resolve) => redis.once('ready', resolve));
  await sentinel.announce();
  sentinel.answer();
  await ready;
  expect(await redis.info('server')).toContain(`tcp_port:${after.port}`);
  const ended = once(redis, 'end');
  redis.disconnect();
  await ended;
  expect(redis.status).toBe('end');
});
