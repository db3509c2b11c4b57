/** The composition root: the one file that knows every part, and the order in which they start and end. */
import { mkdir, readFile } from 'node:fs/promises';
import { isAbsolute, resolve } from 'node:path';
import type { Logger } from 'pino';
import type { LoadedConfig } from '../config/load.ts';
import { messageOf } from '../config/errors.ts';
import type { StoreProcess } from '../media/fork/store-process.ts';
import { anchorClock, epochMicros } from '../media/relay/clock.ts';
import { prepareTones } from '../media/prompts/tones.ts';
import { loadPrompt } from '../media/prompts/load.ts';
import type { Prompt } from '../media/prompts/prompt.ts';
import { carryCall } from './call/call.ts';
import type { House } from './call/house.ts';
import { CallRegistry } from './call/registry.ts';
import { prepareRules, type RuleOf } from './call/rules.ts';
import { Campaigns } from './campaigns/campaigns.ts';
import { ChangeJournal } from './campaigns/change-journal.ts';
import { LiveCampaigns } from './campaigns/live.ts';
import { openRedisChanges } from './campaigns/redis-changes.ts';
import { startConsole } from './console/server.ts';
import { Tokens } from './console/tokens.ts';
import { concerns } from './law/constrain.ts';
import { Law } from './law/law.ts';
import { lawOf } from './law/load.ts';
import { openLedger } from './ledger/open.ts';
import { settleOwed } from './ledger/owed.ts';
import { openEmbeddedSampler } from './sampling/embedded.ts';
import { openDrawKeys } from './sampling/draw-keys.ts';
import { redisPlace } from './sampling/redis-place.ts';
import { openRedisSampler } from './sampling/redis.ts';
import type { UniformSource } from './sampling/sampler.ts';
import { openEdge, type Edge } from './sip/edge.ts';
import { openPeers, readCredentials } from './sip/peers.ts';
import type { SipServer } from './sip/server/server.ts';
import { startTelemetryServer } from './telemetry/http.ts';
import { startEmbeddedSip } from './embedded-sip.ts';
import { openMedia } from './media-plane.ts';
import { openStore, type PartNeeds } from './recording-store.ts';
import { openLog } from './telemetry/log.ts';
import { openMetrics } from './telemetry/metrics.ts';
import { version } from './telemetry/version.ts';
import { openVoices } from './voices.ts';

/** A lease is hours; a minute more of it is nothing. */
const lapseEveryMs = 60_000;

export interface Tacet extends AsyncDisposable {
  readonly http: { address: string; port: number };
  /** The API, where the configuration asks for one. */
  readonly console: { address: string; port: number } | undefined;
  readonly callsInProgress: number;
  /** The calls in progress, and orders about them. */
  readonly calls: CallRegistry;
  /** Campaigns as they are now, and orders about them. */
  readonly live: LiveCampaigns;
  /** What calls hold just now; all nought when none is in progress. */
  readonly held: { mediaSessions: number; dialogs: number };
  readonly log: Logger;
  /** The embedded SIP server, unless an external one is used. */
  readonly sipServer: SipServer | undefined;
  /** The store's process, unless the store is elsewhere. */
  readonly store: StoreProcess | undefined;
  /** Takes no new call; resolves when the running ones have ended, or the limit or `impatient` ended them. */
  drain(impatient?: AbortSignal): Promise<void>;
}

/** How parts are opened that a site, or a test, may want otherwise. */
export interface Openers {
  media: typeof openMedia;
}

/**
 * Starts every part, each before what leans on it. What was started is ended again when a later part fails.
 *
 * @throws TacetError in one line: a port taken, a prompt missing, a law unknown, a ledger broken
 */
export async function startTacet(
  { config, campaigns, directory }: LoadedConfig,
  open: Openers = { media: openMedia },
): Promise<Tacet> {
  await using starting = new AsyncDisposableStack();
  const at = (path: string): string => (isAbsolute(path) ? path : resolve(directory, path));
  const dataDir = at(config.dataDir);
  await mkdir(dataDir, { recursive: true, mode: 0o700 });

  const log = openLog(config.logLevel);
  const metrics = openMetrics();
  const epochOffset = anchorClock();
  const now = () => epochMicros(epochOffset);
  const law = new Law(await lawOf({ config, directory }));
  const ruleFor = await takeUp(law, campaigns, at, log);

  const ledger = starting.use(
    await openLedger({
      directory: resolve(dataDir, 'ledger'),
      site: config.site,
      clock: () => new Date(now() / 1_000),
    }),
  );
  const live = starting.use(await openLive({ config, campaigns, dataDir, at, log, ledger, law, now }));
  const drawKeys = starting.use(
    await openDrawKeys({
      directory: resolve(dataDir, 'sampling', 'keys'),
      ledger,
      clock: () => new Date(now() / 1_000),
      onTrouble: (why) => log.error({ why }, 'the keys of the draw cannot be turned'),
    }),
  );
  const sampler = starting.use(
    await openSampler({ config, dataDir, at, metrics, log, uniform: drawKeys.uniform }),
  );
  prepareTones(config.sip.ringingTone);
  const media = starting.use(await open.media(config.media, epochOffset, metrics, log));
  const voices = campaigns.some(({ refusalVoice }) => refusalVoice !== 'none')
    ? await openVoices(starting, { recognisers: config.recognisers, at, log, metrics })
    : undefined;
  const { link, store } = await openStore(starting, { config, dataDir, at, log, ledger, metrics });

  const running = new Set<Promise<unknown>>();
  const calls = new CallRegistry();
  const ending = new AbortController();
  const draining = new AbortController();
  const peers = openPeers(config, await readCredentials(config, at));
  const sipServer =
    config.sip.drachtio === undefined
      ? starting.use(await startEmbeddedSip(config, at, peers, metrics, log))
      : undefined;

  // The calls need the edge and the edge needs to know what to do with a call: tied here, once both are there.
  const parts: { edge?: Edge } = {};
  const ours = new Campaigns(campaigns);
  const house: House = {
    config,
    campaigns: ours,
    live,
    ruleFor,
    sampler,
    ledger,
    sink: link,
    media,
    voices,
    get edge() {
      return parts.edge!;
    },
    metrics,
    log,
    now,
    pseudonym: (number) => ledger.pseudonym(number),
    shutdown: ending.signal,
    calls,
  };
  const edge = starting.use(
    await openEdge({
      control: config.sip.drachtio ?? { ...sipServer!.control, tellsTrying: true },
      peers,
      routing: config.routing,
      longestCallMs: config.sip.maxCallMinutes * 60_000,
      log,
      refusing: () => (draining.signal.aborted ? 'Draining' : undefined),
      onStranger: () => metrics.sipDropped('stranger'),
      onAttempt: (peer, result) => metrics.peerAttempt(peer, result),
      onOverload: (peer, limit) => metrics.peerOverload(peer, limit),
      onInvite: async (invite) => {
        const call = carryCall(invite, house);
        running.add(call);
        try {
          await call;
        } finally {
          running.delete(call);
        }
      },
    }),
  );
  parts.edge = edge;

  metrics.watchCalls(() => running.size);
  metrics.watchPeers(() => edge.peerStates());
  metrics.watchMedia(() => media.statistics());
  metrics.watchStore(() => {
    const { spooledBytes: spoolBytes, ...rest } = link.statistics();
    return { ...rest, spoolBytes };
  });
  metrics.watchSample(
    campaigns.map(({ name }) => name),
    (name) => sampler.counts(name, campaigns.find((each) => each.name === name)?.timeZone),
  );
  // Selections of an agent that died lapse by the clock, whether or not somebody reads the metrics.
  const lapsing = setInterval(() => {
    for (const { name, timeZone } of campaigns) void sampler.counts(name, timeZone);
  }, lapseEveryMs).unref();
  starting.defer(() => clearInterval(lapsing));
  const http = starting.use(
    await startTelemetryServer({
      ...config.http,
      registry: metrics.registry,
      ready: () => [
        ...(draining.signal.aborted ? ['draining'] : []),
        ...(edge.connected ? [] : ['the SIP server is not connected']),
        ...edge.unreachable(),
      ],
    }),
  );
  const console =
    config.console === undefined
      ? undefined
      : starting.use(
          await startConsole({
            ...config.console,
            tls: await readPem(config.console.tls, at),
            tokens: new Tokens(resolve(dataDir, 'console')),
            live,
            calls,
            sampler,
            law: law.book,
            clock: () => new Date(now() / 1_000),
            onFault: (error) => log.error({ err: error }, 'a request to the API failed by a fault of ours'),
          }),
        );
  await ledger.append({ kind: 'agent.started', version, config: config.site });
  starting.use(
    settleOwed({
      dataDir,
      append: (event) => ledger.append(event),
      onTrouble: (file, why) => log.error({ file, why }, 'what is owed to the ledger cannot be written'),
    }),
  );
  log.info({ version, sip: sipServer?.addresses, http: http.port, campaigns: campaigns.length }, 'ready');

  const parted = starting.move();
  const drain = async (impatient?: AbortSignal): Promise<void> => {
    draining.abort();
    const limit = AbortSignal.timeout(config.drainSeconds * 1_000);
    const enough = impatient === undefined ? limit : AbortSignal.any([limit, impatient]);
    enough.addEventListener('abort', () => ending.abort(), { once: true });
    await Promise.allSettled([...running]);
    await link.flush(AbortSignal.any([enough, AbortSignal.timeout(5_000)]));
  };
  return {
    http: { address: http.address, port: http.port },
    console: console === undefined ? undefined : { address: console.address, port: console.port },
    log,
    sipServer,
    store,
    calls,
    live,
    get held() {
      const dialogs = sipServer?.statistics().dialogs ?? 0;
      return { mediaSessions: media.statistics().sessions, dialogs };
    },
    get callsInProgress() {
      return running.size;
    },
    drain,
    async [Symbol.asyncDispose]() {
      draining.abort();
      ending.abort();
      await Promise.allSettled([...running]);
      await ledger
        .append({ kind: 'agent.stopped', reason: 'stopped' })
        .catch((error: unknown) => log.error(messageOf(error)));
      await parted.disposeAsync();
    },
  };
}

/** Law and prompts of every campaign, once; what stops or should worry is said, and calls go on in any case (I4). */
async function takeUp(
  law: Law,
  campaigns: LoadedConfig['campaigns'],
  at: (path: string) => string,
  log: Logger,
): Promise<RuleOf> {
  const today = new Date().toISOString().slice(0, 10);
  // Campaigns share prompts, and each is encoded for every codec: once is enough.
  const prompts = new Map<string, Promise<Prompt>>();
  const load = (name: string): Promise<Prompt> => {
    const loading = prompts.get(name) ?? loadPrompt(name.includes('/') ? at(name) : name);
    prompts.set(name, loading);
    return loading;
  };
  const ruleFor = await prepareRules(campaigns, law, load, today);
  for (const campaign of campaigns) {
    const { blocked } = law.take(campaign, today);
    for (const { text } of blocked) log.error({ campaign: campaign.name, why: text }, 'nothing is recorded');
    for (const concern of concerns(campaign, today, law.book)) log.warn({ campaign: campaign.name }, concern);
  }
  return ruleFor;
}

/** @throws what reading throws: a certificate that is missing must not go unseen */
async function readPem(
  tls: NonNullable<LoadedConfig['config']['console']>['tls'],
  at: (path: string) => string,
): Promise<{ cert: string; key: string } | undefined> {
  if (tls === undefined) return undefined;
  return { cert: await readFile(at(tls.certificate), 'utf8'), key: await readFile(at(tls.key), 'utf8') };
}

/** Campaigns as they change: journalled here, or shared through the Redis that the sample is shared through. */
async function openLive({
  config,
  campaigns,
  dataDir,
  at,
  log,
  ledger,
  law,
  now,
}: Pick<PartNeeds, 'config' | 'dataDir' | 'at' | 'log' | 'ledger'> & {
  campaigns: LoadedConfig['campaigns'];
  law: Law;
  now: () => number;
}): Promise<LiveCampaigns> {
  const directory = resolve(dataDir, 'campaigns');
  const changes =
    config.redis === undefined
      ? await ChangeJournal.open(directory)
      : await openRedisChanges({
          ...(await redisPlace(config.redis, at)),
          directory,
          onTrouble: (why) =>
            why === undefined
              ? log.info('changes of campaigns are known again')
              : log.error({ why }, 'changes of campaigns cannot be known: nothing is drawn'),
        });
  return new LiveCampaigns({
    campaigns,
    log: changes,
    law: law.book,
    ledger,
    site: config.site,
    clock: () => new Date(now() / 1_000),
    onTrouble: (error) => log.error({ err: error }, 'a change of campaigns cannot be written down'),
  });
}

async function openSampler({
  config,
  dataDir,
  at,
  metrics,
  log,
  uniform,
}: Pick<PartNeeds, 'config' | 'dataDir' | 'at' | 'metrics' | 'log'> & { uniform: UniformSource }) {
  const listening = {
    uniform,
    onAvailability: (available: boolean, why: string | undefined): void => {
      metrics.samplerAvailable(available);
      log[available ? 'info' : 'error']({ available, why }, 'sampling counters');
    },
    onUngranted: (why: string): void => metrics.samplerUngranted(why),
  };
  const sampler =
    config.redis === undefined
      ? await openEmbeddedSampler({ directory: resolve(dataDir, 'sampling'), ...listening })
      : openRedisSampler({ ...(await redisPlace(config.redis, at)), ...listening });
  metrics.samplerAvailable(sampler.available);
  return sampler;
}
