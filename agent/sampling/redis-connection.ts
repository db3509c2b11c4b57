/** How a sampler reaches Redis: one server, a master that sentinels name, or a cluster. */
import { Cluster, Redis } from './ioredis.ts';
import { lapseScript, recoverScript, releaseScript, reserveScript, settleScript } from './scripts.ts';

interface Address {
  host: string;
  port: number;
}

/** Exactly one of `url`, `sentinels` (with `master`), `cluster`. */
export interface RedisPlace {
  /** `redis://` or `rediss://` */
  url?: string | undefined;
  sentinels?: readonly Address[] | undefined;
  /** The name under which the sentinels know the master. */
  master?: string | undefined;
  cluster?: readonly Address[] | undefined;
  username?: string | undefined;
  password?: string | undefined;
  sentinelPassword?: string | undefined;
  /** PEM; given, however empty, the connection is TLS. */
  tls?: { ca?: string; cert?: string; key?: string; servername?: string } | undefined;
}

type Words = (string | number)[];

interface Scripts {
  /** See `reserveScript`. */
  tacetReserveBuffer(...words: Words): Promise<Buffer>;
  tacetSettle(...words: Words): Promise<unknown>;
  tacetRelease(...words: Words): Promise<unknown>;
  tacetLapse(...words: Words): Promise<[eligible: number, recorded: number, open: number]>;
  tacetRecover(...words: Words): Promise<[draws: number, shut: number]>;
}

export type Connection = (Redis | Cluster) & Scripts;

/** Random, so that agents do not come back all at once. */
const retry = (times: number): number =>
  Math.min(50 * 2 ** Math.min(times, 5), 1_000) * (0.5 + Math.random() / 2);

export function connect(place: RedisPlace, timing: { hungMs: number; fenceMs: number }): Connection {
  const script = (lua: string, numberOfKeys = 1): { lua: string; numberOfKeys: number } => ({
    lua,
    numberOfKeys,
  });
  const scripts = {
    tacetReserve: script(reserveScript(timing.fenceMs)),
    tacetSettle: script(settleScript),
    tacetRelease: script(releaseScript),
    tacetLapse: script(lapseScript, 2),
    tacetRecover: script(recoverScript(timing.fenceMs)),
  };
  const { username, password, tls } = place;
  const node = {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls === undefined ? {} : { tls }),
    enableOfflineQueue: false,
    // A command of a lost connection is never sent again by itself: only what is owed is, and that is idempotent.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 1_000,
    socketTimeout: timing.hungMs,
    disconnectTimeout: 100,
    retryStrategy: retry,
    // A demoted master answers READONLY: connect again, to where the name or the sentinel now leads.
    reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
  };
  if (place.cluster !== undefined) {
    const options = {
      scripts,
      // Its nodes are connected when they are first needed.
      redisOptions: { ...node, enableOfflineQueue: true },
      enableOfflineQueue: false,
      clusterRetryStrategy: retry,
      // A call does not wait for a cluster that is finding its master again.
      maxRedirections: 3,
      retryDelayOnFailover: 100,
      slotsRefreshTimeout: 1_000,
    };
    return withAskingHandled(new Cluster([...place.cluster], options)) as Connection;
  }
  if (place.sentinels !== undefined) {
    const { sentinels, master, sentinelPassword } = place;
    return untilDisconnected(
      new Redis({
        ...node,
        scripts,
        sentinels: [...sentinels],
        ...(master === undefined ? {} : { name: master }),
        ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
        ...(tls === undefined ? {} : { enableTLSForSentinelMode: true, sentinelTLS: tls }),
        // Who was the master is asked anew each time; a sentinel that hangs must not stop the others from being asked.
        sentinelCommandTimeout: 1_000,
        sentinelRetryStrategy: retry,
        sentinelReconnectStrategy: retry,
        failoverDetector: true,
      }),
    ) as Connection;
  }
  return new Redis(place.url ?? 'redis://127.0.0.1', { ...node, scripts }) as Connection;
}

/**
 * While a slot is moved, ioredis sends ASKING before a command and looks at the answer to the command alone: where the connection
 * closes in between, the other failure would be nobody's, and end the process.
 */
function withAskingHandled(cluster: Cluster): Cluster {
  return cluster.on('+node', (node: Redis) => {
    const asking = node.asking.bind(node);
    node.asking = () => {
      const answer = asking();
      answer.catch(() => undefined);
      return answer;
    };
  });
}

/**
 * ioredis gives up for ever when the sentinels announce a new master while it is asking one of them for the old one: what it
 * was about to connect to is closed, and that counts as the end. Here the only end is the one that we ask for.
 */
function untilDisconnected(redis: Redis): Redis {
  let asked = false;
  const disconnect = redis.disconnect.bind(redis);
  redis.disconnect = (reconnect = false) => {
    asked ||= !reconnect;
    disconnect(reconnect);
  };
  redis.on('end', () => {
    // What fails is told as an `error` event.
    if (!asked) redis.connect().catch(() => undefined);
  });
  return redis;
}
