/**
 * What Tacet tells Prometheus. Names begin with `tacet_`, units are base units, labels have few values: a campaign, an
 * outcome, a reason of a closed list; never a call, a number or a message.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Side } from '../../config/units.ts';
import type { PlaneStatistics } from '../../media/plane.ts';
import type { Quality } from '../../media/rtp/quality.ts';
import { version } from './version.ts';

export type DecisionResult = 'selected' | 'passed-over' | 'unavailable';

/** The store link as it is now. */
export interface StoreLinkStatistics {
  connected: boolean;
  /** Sent or to be sent, not yet acknowledged. */
  backlogBytes: number;
  /** Of these, in the spool on disk. */
  spoolBytes: number;
  /** Destructions that the store has not confirmed. */
  openDestroys: number;
}

/** The embedded SIP server as it is now. */
export interface SipStatistics {
  connections: number;
  transactions: number;
  dialogs: number;
  retransmissions: number;
  staleAnswers: number;
}

/** Counts of one campaign's sample; undefined when they cannot be reached. */
export type CountsOf = (
  campaign: string,
) => Promise<{ eligible: number; recorded: number; open: number } | undefined>;

/** A label value must be one of few: what is not a short word is put together as `other`. */
function label(reason: string): string {
  const word = (reason.split(':', 1)[0] ?? '').trim().replaceAll(' ', '-');
  return /^[a-z][a-z-]{0,31}$/iu.test(word) ? word.toLowerCase() : 'other';
}

/** Opens a registry of its own: several in one process do not see each other. */
export function openMetrics(): Metrics {
  return new Metrics();
}

export class Metrics {
  readonly registry = new Registry();
  readonly #calls = this.#counter(
    'calls_total',
    'Calls ended, by campaign (none: no campaign claims it) and outcome.',
    ['campaign', 'outcome'],
  );
  readonly #decisions = this.#counter('decisions_total', 'Draws of the sample, by campaign and result.', [
    'campaign',
    'result',
  ]);
  readonly #undrawn = this.#counter(
    'undrawn_total',
    'Calls of a campaign that took no part in the draw, by reason.',
    ['campaign', 'reason'],
  );
  readonly #decisionTime = new Histogram({
    name: 'tacet_decision_seconds',
    help: 'Time from the INVITE to the decision whether the call falls in the sample.',
    buckets: [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1],
    registers: [this.registry],
  });
  readonly #mos = new Histogram({
    name: 'tacet_call_mos',
    help: 'Mean opinion score of a side of a call, estimated by the E-model (ITU-T G.107).',
    labelNames: ['side'],
    buckets: [1.5, 2, 2.5, 3, 3.3, 3.6, 3.8, 4, 4.2, 4.3],
    registers: [this.registry],
  });
  readonly #loss = new Histogram({
    name: 'tacet_rtp_loss_ratio',
    help: 'Share of the RTP packets of a side of a call that never came.',
    labelNames: ['side'],
    buckets: [0, 0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2],
    registers: [this.registry],
  });
  readonly #jitter = new Histogram({
    name: 'tacet_rtp_jitter_seconds',
    help: 'Interarrival jitter (RFC 3550) of a side of a call at its end.',
    labelNames: ['side'],
    buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2],
    registers: [this.registry],
  });
  readonly #refusals = this.#counter('refusals_total', 'Refusals heard, by means.', ['means']);
  readonly #recogniserFaults = this.#counter(
    'recogniser_faults_total',
    'Streams to a speech server that were lost; any speech is a refusal until another one stands.',
    ['server', 'fault'],
  );
  readonly #recogniserFinals = this.#counter(
    'recogniser_finals_total',
    'Spoken refusals acted upon before the utterance was over, by what it was taken for when it was.',
    ['verdict'],
  );
  readonly #recordingsStarted = this.#counter('recordings_started_total', 'Recordings started.');
  readonly #recordingsKept = this.#counter('recordings_kept_total', 'Recordings that ended and are kept.');
  readonly #recordingsDestroyed = this.#counter(
    'recordings_destroyed_total',
    'Recordings destroyed, by reason.',
    ['reason'],
  );
  readonly #recordingsFailed = this.#counter(
    'recordings_failed_total',
    'Selected calls that went on unrecorded, by reason.',
    ['reason'],
  );
  readonly #samplerAvailable = this.#gauge(
    'sampler_available',
    'Whether the counters of the sample can be reached (0: nothing is recorded).',
  );
  readonly #samplerUngranted = this.#counter(
    'sampler_ungranted_total',
    'Calls that could not be drawn, or whose selection was not granted, by reason.',
    ['reason'],
  );
  readonly #sipDropped = this.#counter(
    'sip_dropped_total',
    'SIP messages and connections that were not taken, by reason.',
    ['reason'],
  );
  readonly #peerAttempts = this.#counter(
    'peer_attempts_total',
    'INVITEs sent to a peer, by how they ended.',
    ['peer', 'result'],
  );
  readonly #peerOverload = this.#counter(
    'peer_overload_total',
    'Calls of a peer refused with 503 because it was over its limit, by limit.',
    ['peer', 'limit'],
  );
  readonly #mediaSilent = this.#counter(
    'media_silent_total',
    'Calls of which one side fell silent (one-way), or both and a peer was gone (both-ways: ended).',
    ['kind'],
  );
  readonly #sipMalformed = this.#counter('sip_malformed_total', 'SIP messages that could not be read.');

  constructor() {
    this.#gauge('build_info', 'Always 1; the version that runs is the label.', ['version']).set(
      { version },
      1,
    );
    const delay = monitorEventLoopDelay({ resolution: 20 });
    delay.enable();
    this.#observe(
      'event_loop_delay_seconds',
      'Longest delay of the main event loop since the last scrape.',
      () => {
        const longest = delay.max / 1e9;
        delay.reset();
        return longest;
      },
    );
    this.#observe('resident_memory_bytes', 'Resident memory of the agent.', () => process.memoryUsage.rss());
    for (const means of ['key', 'voice', 'agent']) this.#refusals.inc({ means }, 0);
    for (const kind of ['one-way', 'both-ways']) this.#mediaSilent.inc({ kind }, 0);
    for (const counter of [this.#recordingsStarted, this.#recordingsKept, this.#sipMalformed]) counter.inc(0);
    this.#samplerAvailable.set(0);
  }

  /** @param campaign its name, or `none` */
  callEnded(campaign: string, outcome: string): void {
    this.#calls.inc({ campaign, outcome });
  }

  /** @param seconds since the INVITE arrived */
  decision(campaign: string, result: DecisionResult, seconds: number): void {
    this.#decisions.inc({ campaign, result });
    this.#decisionTime.observe(seconds);
  }

  undrawn(campaign: string, reason: string): void {
    this.#undrawn.inc({ campaign, reason: label(reason) });
  }

  refusal(means: string): void {
    this.#refusals.inc({ means });
  }

  /** How the sides of a call that has ended were heard. */
  quality(heard: Partial<Record<Side, Quality>>): void {
    for (const [side, { mos, lossRatio, jitterMs }] of Object.entries(heard)) {
      this.#mos.observe({ side }, mos);
      this.#loss.observe({ side }, lossRatio);
      this.#jitter.observe({ side }, jitterMs / 1_000);
    }
  }

  recordingStarted(): void {
    this.#recordingsStarted.inc();
  }

  recordingKept(): void {
    this.#recordingsKept.inc();
  }

  recordingDestroyed(reason: string): void {
    this.#recordingsDestroyed.inc({ reason: label(reason) });
  }

  /** @param reason its first word counts (`ledger: disk full` is `ledger`) */
  recordingFailed(reason: string): void {
    this.#recordingsFailed.inc({ reason: label(reason) });
  }

  samplerAvailable(available: boolean): void {
    this.#samplerAvailable.set(Number(available));
  }

  samplerUngranted(reason: string): void {
    this.#samplerUngranted.inc({ reason: label(reason) });
  }

  sipDropped(reason: string): void {
    this.#sipDropped.inc({ reason: label(reason) });
  }

  /** @param kind `one-way` or `both-ways` */
  mediaSilent(kind: 'one-way' | 'both-ways'): void {
    this.#mediaSilent.inc({ kind });
  }

  /** Whether a spoken refusal would be heard. */
  watchVoices(hears: () => boolean): void {
    this.#observe('voice_listening', 'Whether voices are heard (0: a refusal needs a key).', () =>
      Number(hears()),
    );
  }

  recogniserFault(server: string, fault: string): void {
    this.#recogniserFaults.inc({ server, fault });
  }

  recogniserFinal(verdict: string): void {
    this.#recogniserFinals.inc({ verdict });
  }

  sipMalformed(): void {
    this.#sipMalformed.inc();
  }

  peerAttempt(peer: string, result: string): void {
    this.#peerAttempts.inc({ peer, result });
  }

  peerOverload(peer: string, limit: string): void {
    this.#peerOverload.inc({ peer, limit });
  }

  /** Reads at every scrape which peers are up, and how many calls each has. */
  watchPeers(states: () => readonly { peer: { name: string }; up: boolean; calls: number }[]): void {
    this.#observePeers('peer_up', 'Whether a peer is expected to take calls.', () =>
      states().map(({ peer, up }) => [peer.name, Number(up)]),
    );
    this.#observePeers('peer_calls', 'Calls with a peer, either way.', () =>
      states().map(({ peer, calls }) => [peer.name, calls]),
    );
  }

  /** Reads the number of calls in progress at every scrape. */
  watchCalls(inProgress: () => number): void {
    this.#observe('calls_in_progress', 'Calls in progress.', inProgress);
  }

  /** Reads the embedded SIP server at every scrape. */
  watchSip(statistics: () => SipStatistics): void {
    this.#observe('sip_connections', 'TCP and TLS connections open.', () => statistics().connections);
    this.#observe('sip_transactions', 'SIP transactions open.', () => statistics().transactions);
    this.#observe('sip_dialogs', 'SIP dialogs open.', () => statistics().dialogs);
    this.#total(
      'sip_retransmissions_total',
      'SIP messages sent again because no answer came in time.',
      () => statistics().retransmissions,
    );
    this.#total(
      'sip_stale_dns_answers_total',
      'Answers of the DNS used past their time, because it was silent.',
      () => statistics().staleAnswers,
    );
  }

  /** Reads the ends of the TLS certificates at every scrape. */
  watchCertificates(certificates: () => readonly { listener: string; until: Date }[]): void {
    const left = new Gauge({
      name: 'tacet_tls_certificate_expiry_seconds',
      help: 'Seconds until the certificate of a TLS listener ends; negative after its end.',
      labelNames: ['listener'],
      registers: [this.registry],
      collect: () => {
        left.reset();
        for (const { listener, until } of certificates()) {
          left.set({ listener }, (until.getTime() - Date.now()) / 1_000);
        }
      },
    });
  }

  /** Reads the media plane at every scrape. */
  watchMedia(statistics: () => PlaneStatistics): void {
    this.#observe('media_sessions', 'Media sessions open.', () => statistics().sessions);
    this.#total('rtp_packets_received_total', 'RTP packets received.', () => statistics().packetsReceived);
    this.#total('rtp_packets_sent_total', 'RTP packets sent.', () => statistics().packetsSent);
    const dropped = new Counter({
      name: 'tacet_rtp_packets_dropped_total',
      help: 'RTP packets dropped on arrival, by reason.',
      labelNames: ['reason'],
      registers: [this.registry],
      collect: () => {
        dropped.reset();
        for (const [reason, count] of Object.entries(statistics().packetsDropped))
          dropped.inc({ reason }, count);
      },
    });
  }

  /** Reads at every scrape which rtpengine servers take calls. */
  watchRtpengine(servers: () => readonly { server: string; up: boolean }[]): void {
    const up = new Gauge({
      name: 'tacet_rtpengine_up',
      help: 'Whether an rtpengine server answers and can do what calls need.',
      labelNames: ['server'],
      registers: [this.registry],
      collect: () => {
        up.reset();
        for (const each of servers()) up.set({ server: each.server }, Number(each.up));
      },
    });
  }

  /** Reads the store link at every scrape. */
  watchStore(statistics: () => StoreLinkStatistics): void {
    this.#observe('store_connected', 'Whether the recording store is connected.', () =>
      Number(statistics().connected),
    );
    this.#observe(
      'store_backlog_bytes',
      'Recorded bytes that the store has not acknowledged.',
      () => statistics().backlogBytes,
    );
    this.#observe(
      'store_spool_bytes',
      'Of the backlog, bytes in the spool on disk.',
      () => statistics().spoolBytes,
    );
    this.#observe(
      'store_open_destroys',
      'Destructions that the store has not confirmed; they are retried for ever.',
      () => statistics().openDestroys,
    );
  }

  /** Reads the sample's counts of this month at every scrape. */
  watchSample(campaigns: readonly string[], countsOf: CountsOf): void {
    const conversations = new Gauge({
      name: 'tacet_sample_conversations',
      help: 'Conversations of this month: eligible, of these recorded, and selected but not yet settled (open).',
      labelNames: ['campaign', 'state'],
      registers: [this.registry],
      collect: async () => {
        conversations.reset();
        await Promise.all(
          campaigns.map(async (campaign) => {
            for (const [state, count] of Object.entries((await countsOf(campaign)) ?? {})) {
              conversations.set({ campaign, state }, count);
            }
          }),
        );
      },
    });
  }

  #counter(name: string, help: string, labelNames: string[] = []): Counter {
    return new Counter({ name: `tacet_${name}`, help, labelNames, registers: [this.registry] });
  }

  #gauge(name: string, help: string, labelNames: string[] = []): Gauge {
    return new Gauge({ name: `tacet_${name}`, help, labelNames, registers: [this.registry] });
  }

  #observe(name: string, help: string, read: () => number): void {
    const gauge = new Gauge({
      name: `tacet_${name}`,
      help,
      registers: [this.registry],
      collect: () => {
        gauge.set(read());
      },
    });
  }

  #observePeers(name: string, help: string, read: () => [peer: string, value: number][]): void {
    const gauge = new Gauge({
      name: `tacet_${name}`,
      help,
      labelNames: ['peer'],
      registers: [this.registry],
      collect: () => {
        for (const [peer, value] of read()) gauge.set({ peer }, value);
      },
    });
  }

  /** A counter whose total somebody else keeps. */
  #total(name: string, help: string, read: () => number): void {
    const counter = new Counter({
      name: `tacet_${name}`,
      help,
      registers: [this.registry],
      collect: () => {
        counter.reset();
        counter.inc(read());
      },
    });
  }
}
