import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  startTelemetryServer,
  TelemetryUnavailable,
  type TelemetryServer,
} from '../../../agent/telemetry/http.ts';
import { openMetrics, type Metrics } from '../../../agent/telemetry/metrics.ts';

describe('metrics and health over HTTP', () => {
  let metrics: Metrics;
  let server: TelemetryServer;
  let reasons: string[];
  beforeEach(async () => {
    metrics = openMetrics();
    reasons = [];
    server = await startTelemetryServer({
      address: '127.0.0.1',
      port: 0,
      registry: metrics.registry,
      ready: () => reasons,
    });
  });
  afterEach(() => server[Symbol.asyncDispose]());

  function get(path: string, method = 'GET'): Promise<Response> {
    return fetch(`http://127.0.0.1:${server.port}${path}`, { method });
  }

  function useAll(): void {
    metrics.callEnded('support', 'recorded');
    metrics.callEnded('none', 'unmatched');
    metrics.decision('support', 'selected', 0.0004);
    metrics.refusal('key');
    metrics.quality({ caller: { mos: 4.4, lossRatio: 0.02, jitterMs: 3, rFactor: 90 } });
    metrics.recordingStarted();
    metrics.recordingKept();
    metrics.recordingDestroyed('refused');
    metrics.recordingFailed('ledger: no space left on device, /dev/sda1');
    metrics.recordingFailed('ENOSPC +33612345678 (!)');
    metrics.samplerAvailable(true);
    metrics.sipDropped('unknown source');
    metrics.sipMalformed();
    metrics.watchCalls(() => 7);
    metrics.watchMedia(() => ({
      sessions: 3,
      packetsReceived: 100,
      packetsSent: 99,
      packetsDropped: { 'wrong-source': 1, malformed: 0, 'unknown-payload': 0, unauthentic: 0 },
    }));
    metrics.watchStore(() => ({ connected: true, backlogBytes: 160, spoolBytes: 0, openDestroys: 1 }));
    metrics.watchSample(['support', 'gone'], (campaign) =>
      Promise.resolve(campaign === 'gone' ? undefined : { eligible: 10, recorded: 3, open: 1 }),
    );
  }

  test('Prometheus finds nothing to criticise', async () => {
    useAll();
    const promtool = spawn('promtool', ['check', 'metrics'], { stdio: ['pipe', 'pipe', 'pipe'] });
    promtool.stdin.end(await (await get('/metrics')).text());
    const [complaints] = await Promise.all([text(promtool.stderr), once(promtool, 'exit')]);
    expect(complaints).toBe('');
    expect(promtool.exitCode).toBe(0);
  });

  test('what was counted is told, and totals of others are not counted twice', async () => {
    useAll();
    await get('/metrics');
    const lines = (await (await get('/metrics')).text()).split('\n');
    for (const line of [
      'tacet_calls_total{campaign="support",outcome="recorded"} 1',
      'tacet_decisions_total{campaign="support",result="selected"} 1',
      'tacet_decision_seconds_bucket{le="0.00025"} 0',
      'tacet_decision_seconds_bucket{le="0.0005"} 1',
      'tacet_recordings_failed_total{reason="ledger"} 1',
      'tacet_recordings_failed_total{reason="other"} 1',
      'tacet_sip_dropped_total{reason="unknown-source"} 1',
      'tacet_calls_in_progress 7',
      'tacet_call_mos_bucket{le="4.2",side="caller"} 0',
      'tacet_call_mos_count{side="caller"} 1',
      'tacet_rtp_loss_ratio_bucket{le="0.02",side="caller"} 1',
      'tacet_rtp_jitter_seconds_sum{side="caller"} 0.003',
      'tacet_rtp_packets_received_total 100',
      'tacet_rtp_packets_dropped_total{reason="wrong-source"} 1',
      'tacet_store_connected 1',
      'tacet_store_open_destroys 1',
      'tacet_sampler_available 1',
      'tacet_sample_conversations{campaign="support",state="recorded"} 3',
    ]) {
      expect(lines).toContain(line);
    }
    expect(lines.join('\n')).not.toMatch(/"gone"|\+336/u);
  });

  test('alive as long as it answers', async () => {
    expect((await get('/healthz')).status).toBe(200);
  });

  test('ready only while calls can be taken, and why not', async () => {
    expect(await (await get('/readyz')).text()).toBe('ready\n');
    reasons = ['draining', 'the sampler cannot be reached'];
    const response = await get('/readyz');
    expect(response.status).toBe(503);
    expect(await response.text()).toBe('draining\nthe sampler cannot be reached\n');
  });

  test('nothing else is here', async () => {
    expect((await get('/')).status).toBe(404);
    expect((await get('/metrics', 'POST')).status).toBe(405);
    const head = await get('/healthz', 'HEAD');
    expect([head.status, await head.text()]).toEqual([200, '']);
  });

  test('a port that is taken is said to be', async () => {
    const second = startTelemetryServer({
      address: '127.0.0.1',
      port: server.port,
      registry: metrics.registry,
      ready: () => [],
    });
    await expect(second).rejects.toThrow(TelemetryUnavailable);
  });
});
