import { describe, expect, it } from 'vitest';
import { runCarrier, type CallResult } from '../../../../agent/cli/demo/carrier.ts';
import { DemoPbx } from '../../../../agent/cli/demo/pbx.ts';
import type { Mix } from '../../../../agent/cli/demo/plan.ts';
import { callAudio } from '../../../peers/pcap.ts';
import { Sipp, runSipp, telephoneEvent, pcma } from '../../../peers/sipp.ts';
import { Capture } from '../../../peers/tshark.ts';

const speech = new Uint8Array(8_000).fill(0xd5);
const destinations = [{ campaign: 'support', called: '+33800000001', busy: '+33800000486' }];
const quick = { talkMs: 300, refuseAfterMs: 100, abandonAfterMs: 150 };

async function callsOf(pbx: { address: string; port: number }, mix: Mix, calls = 1, times = {}): Promise<CallResult[]> {
  const carrier = runCarrier({
    target: pbx,
    destinations,
    calls,
    callsPerSecond: 20,
    mix,
    seed: 1,
    speech,
    times: { ...quick, ...times },
  });
  const results: CallResult[] = [];
  for await (const result of carrier) results.push(result);
  return results;
}

describe("the demo's callers, against a PBX that is SIPp", () => {
  it('talk, and hang up themselves', async () => {
    await using pbx = await Sipp.start({ scenario: 'pbx-answers', calls: 3, keys: { ring_ms: 50 } });
    const results = await callsOf(pbx, { talk: 1 }, 3);
    expect(results.map(({ status, answered, hungUpBy }) => [status, answered, hungUpBy])).toEqual(
      Array(3).fill([200, true, 'caller']),
    );
    for (const { rtpSent, rtpReceived } of results) {
      expect(rtpSent).toBeGreaterThan(5);
      expect(rtpReceived).toBeGreaterThan(5);
    }
    const { exitCode, retransmissions, errors } = await pbx.finished();
    expect([exitCode, retransmissions], errors).toEqual([0, 0]);
  });

  it('press 2 as tshark understands it', async () => {
    await using pbx = await Sipp.start({
      scenario: 'pbx-answers',
      calls: 1,
      keys: { ring_ms: 20 },
      formats: [pcma, telephoneEvent(96)],
    });
    await using capture = await Capture.start(`udp port ${pbx.port} or udp port ${pbx.mediaPort}`);
    const [result] = await callsOf(pbx, { refuser: 1 });
    await pbx.finished();
    await capture.stop();
    expect(result).toMatchObject({ script: 'refuser', status: 200, hungUpBy: 'caller' });
    expect(await capture.complaints()).toEqual([]);
    const events = await capture.packets(`rtpevent and udp.dstport == ${pbx.mediaPort}`, [
      'rtpevent.event_id',
      'rtpevent.end_of_event',
      'rtp.p_type',
    ]);
    expect(new Set(events.map((event) => event['rtpevent.event_id']))).toEqual(new Set(['2']));
    expect(events.filter((event) => event['rtpevent.end_of_event'] === '1')).toHaveLength(3);
    expect(events[0]!['rtp.p_type']).toBe('96');
    const stream = (await capture.rtpStreams()).find(({ destination }) => destination.port === pbx.mediaPort);
    expect(stream).toMatchObject({ lost: 0, packets: result!.rtpSent });
  });

  it('give up while it rings, with a CANCEL that the PBX accepts', async () => {
    await using pbx = await Sipp.start({ scenario: 'pbx-never-answers', calls: 1 });
    const [result] = await callsOf(pbx, { abandon: 1 });
    expect(result).toMatchObject({ status: 487, answered: false, hungUpBy: undefined, rtpSent: 0 });
    expect((await pbx.finished()).exitCode).toBe(0);
  });

  it('give up after an early answer, with a BYE', async () => {
    await using pbx = await Sipp.start({ scenario: 'pbx-answers', calls: 1, keys: { ring_ms: 0 } });
    const [result] = await callsOf(pbx, { abandon: 1 }, 1, { abandonAfterMs: 800 });
    expect(result).toMatchObject({ status: 200, answered: true, hungUpBy: 'caller' });
    expect((await pbx.finished()).exitCode).toBe(0);
  });

  it('hear that a number is busy, and acknowledge it', async () => {
    await using pbx = await Sipp.start({ scenario: 'pbx-is-busy', calls: 1 });
    const [result] = await callsOf(pbx, { busy: 1 });
    expect(result).toMatchObject({ called: '+33800000486', status: 486, answered: false });
    const { exitCode, retransmissions } = await pbx.finished();
    expect([exitCode, retransmissions]).toEqual([0, 0]);
  });

  it('notice that the other side hung up, and go on through a hold', async () => {
    await using hangsUp = await Sipp.start({ scenario: 'pbx-hangs-up', calls: 1, keys: { talk_ms: 100 } });
    await using holds = await Sipp.start({
      scenario: 'pbx-holds',
      calls: 1,
      keys: { talk_ms: 50, hold_ms: 50, ring_ms: 20 },
    });
    const [hungUp] = await callsOf(hangsUp, { talk: 1 });
    expect(hungUp).toMatchObject({ status: 200, hungUpBy: 'callee' });
    const [held] = await callsOf(holds, { talk: 1 });
    expect(held).toMatchObject({ status: 200, hungUpBy: 'callee' });
    const directions = (await holds.messages())
      .filter(({ direction, text }) => direction === 'received' && text.includes('m=audio'))
      .map(({ text }) => /a=(sendrecv|sendonly|recvonly|inactive)/u.exec(text)?.[1]);
    expect(directions).toEqual(['sendrecv', 'recvonly', 'sendrecv']);
    expect((await holds.finished()).exitCode).toBe(0);
  });

  it('are all off the line when the demo is stopped', async () => {
    await using answers = await Sipp.start({ scenario: 'pbx-answers', calls: 3, keys: { ring_ms: 0 } });
    await using rings = await Sipp.start({ scenario: 'pbx-never-answers', calls: 2 });
    const stop = new AbortController();
    const until = async (pbx: Sipp, calls: number): Promise<string[]> => {
      const carrier = runCarrier({
        target: pbx,
        destinations,
        calls,
        callsPerSecond: 100,
        mix: { talk: 1 },
        seed: 1,
        speech,
        times: { talkMs: 600_000 },
        signal: stop.signal,
      });
      const ends: string[] = [];
      for await (const { status, hungUpBy } of carrier) ends.push(`${status} ${hungUpBy ?? ''}`);
      return ends;
    };
    const answered = until(answers, 3);
    const ringing = until(rings, 2);
    await answers.saw(/^ACK/u, 3);
    await rings.saw(/^SIP\/2.0 180/u, 2);
    stop.abort();
    expect(await answered).toEqual(Array(3).fill('200 caller'));
    expect(await ringing).toEqual(Array(2).fill('487 '));
    expect([(await answers.finished()).failed, (await rings.finished()).failed]).toEqual([0, 0]);
  });

  it('hang up when their calls are not read any further', async () => {
    await using pbx = await Sipp.start({ scenario: 'pbx-answers', calls: 2, keys: { ring_ms: 0 } });
    const carrier = runCarrier({
      target: pbx,
      destinations,
      calls: 2,
      callsPerSecond: 5,
      mix: { talk: 1 },
      seed: 1,
      speech,
      times: { talkMs: 250 },
    });
    for await (const { hungUpBy } of carrier) {
      expect(hungUpBy).toBe('caller');
      break;
    }
    const { successful, failed } = await pbx.finished();
    expect([successful, failed]).toEqual([2, 0]);
  });
});

describe("the demo's PBX, against a caller that is SIPp", () => {
  const start = (): Promise<DemoPbx> =>
    DemoPbx.start({ speech, isBusy: (called) => called.endsWith('486'), ringMs: { min: 30, max: 60 } });

  it('rings, answers, talks, and hears keys', async () => {
    await using pbx = await start();
    const audio = callAudio({ durationMs: 600, keys: [{ digit: '2', atMs: 100 }, { digit: '#', atMs: 300 }] });
    const result = await runSipp({
      scenario: 'caller-call',
      target: pbx,
      audio,
      keys: { talk_ms: 700, caller: '+33199000042' },
    });
    expect(result.exitCode, result.errors).toBe(0);
    expect(result.retransmissions).toBe(0);
    await pbx.pickedUp('+33199000042');
    expect(result.messages.map(({ startLine }) => startLine)).toContain('SIP/2.0 180 Ringing');
    expect(pbx.totals()).toMatchObject({ calls: 1, answered: 1, digits: ['2', '#'], rtpReceived: audio.length });
    expect(pbx.totals().rtpSent).toBeGreaterThan(20);
  });

  it('takes many calls at once', async () => {
    await using pbx = await start();
    const result = await runSipp({
      scenario: 'caller-call',
      target: pbx,
      calls: 30,
      rate: 30,
      keys: { talk_ms: 300 },
    });
    expect([result.exitCode, result.successful, result.retransmissions], result.errors).toEqual([0, 30, 0]);
    expect(pbx.totals().answered).toBe(30);
  });

  it.each(['caller-holds', 'caller-reinvites-without-sdp', 'caller-offers-late', 'caller-sends-info'] as const)(
    'goes along with %s',
    async (scenario) => {
      await using pbx = await start();
      const result = await runSipp({ scenario, target: pbx, keys: { talk_ms: 60, hold_ms: 60 } });
      expect([result.exitCode, result.retransmissions], result.errors).toEqual([0, 0]);
    },
  );

  it('lets a caller give up', async () => {
    await using pbx = await DemoPbx.start({ speech, ringMs: { min: 200, max: 200 } });
    const result = await runSipp({ scenario: 'caller-cancels', target: pbx, keys: { ring_ms: 20 } });
    expect(result.exitCode, result.errors).toBe(0);
    expect(pbx.totals().answered).toBe(0);
  });

  it('is busy at the numbers that are, and there for OPTIONS', async () => {
    await using pbx = await start();
    const busy = await runSipp({ scenario: 'caller-is-rejected', target: pbx, service: '+33800000486' });
    expect([busy.exitCode, busy.retransmissions], busy.errors).toEqual([0, 0]);
    expect(pbx.totals().busy).toBe(1);
    const options = await runSipp({ scenario: 'caller-asks-options', target: pbx });
    expect(options.exitCode, options.errors).toBe(0);
  });
});
