import { expect, it } from 'vitest';
import { callAudio, g711Of } from './pcap.ts';
import { Sipp, runSipp, telephoneEvent, pcmu } from './sipp.ts';
import { Capture } from './tshark.ts';

const speech = new URL('../../config/prompts/demo/caller-fr.wav', import.meta.url).pathname;

it('what SIPp sends as speech and as a key is what tshark sees, without a complaint', async () => {
  await using pbx = await Sipp.start({ scenario: 'pbx-answers', calls: 1, keys: { ring_ms: 20 } });
  await using capture = await Capture.start(
    `udp port ${pbx.port} or udp portrange ${pbx.mediaPort}-${pbx.mediaPort + 7}`,
  );
  const audio = callAudio({
    g711: await g711Of(speech),
    durationMs: 700,
    keys: [{ digit: '2', atMs: 300, durationMs: 100 }],
  });
  const result = await runSipp({ scenario: 'caller-call', target: pbx, audio, keys: { talk_ms: 900 } });
  expect(result.exitCode, result.errors).toBe(0);
  await pbx.finished();
  await capture.stop();

  expect(await capture.complaints()).toEqual([]);
  const streams = await capture.rtpStreams();
  const sent = streams.find(({ destination }) => destination.port === pbx.mediaPort);
  expect(sent).toMatchObject({ packets: audio.length, lost: 0, problems: '' });
  const events = await capture.packets(`rtpevent and udp.dstport == ${pbx.mediaPort}`, [
    'rtpevent.event_id',
    'rtpevent.end_of_event',
    'rtpevent.duration',
    'rtp.marker',
  ]);
  expect(events.map((event) => event['rtpevent.event_id'])).toEqual(Array(8).fill('2'));
  expect(events.map((event) => event['rtpevent.end_of_event'])).toEqual([
    ...Array<string>(5).fill('0'),
    ...Array<string>(3).fill('1'),
  ]);
  expect(events.map((event) => event['rtp.marker'])).toEqual(['1', ...Array<string>(7).fill('0')]);
  expect(events.map((event) => Number(event['rtpevent.duration']))).toEqual([
    160, 320, 480, 640, 800, 800, 800, 800,
  ]);
});

it('a PBX answers with the formats that it was told', async () => {
  const formats = [pcmu, telephoneEvent(96)];
  await using pbx = await Sipp.start({ scenario: 'pbx-answers', calls: 1, formats });
  const result = await runSipp({ scenario: 'caller-call', target: pbx, keys: { talk_ms: 20 } });
  const answer = result.messages.find(({ text }) => text.includes('SIP/2.0 200 OK'));
  expect(answer?.text).toMatch(
    /m=audio \d+ RTP\/AVP 0 96\r?\na=rtpmap:0 PCMU\/8000\r?\na=rtpmap:96 telephone-event\/8000/u,
  );
  expect(result.successful).toBe(1);
});
