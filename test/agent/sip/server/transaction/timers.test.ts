/** When each message goes out and each transaction ends, against a clock that the test moves (RFC 3261 table 4). */
import { describe, expect, it } from 'vitest';
import { rfcTimers } from '../../../../../agent/sip/server/clock.ts';
import { parseMessage } from '../../../../../agent/sip/server/message.ts';
import type { SipRequest, SipResponse } from '../../../../../agent/sip/server/message.ts';
import { Stack } from '../../../../../agent/sip/server/stack.ts';
import type { Address, Listener } from '../../../../../agent/sip/server/transport.ts';
import { FakeClock } from '../fake-clock.ts';

const address: Address = { transport: 'udp', address: '127.0.0.1', port: 5_070 };

function message(text: string): SipRequest | SipResponse {
  const parsed = parseMessage(Buffer.from(text.replaceAll('\n', '\r\n')));
  if (!parsed.ok) throw new Error(parsed.why);
  return parsed.message;
}

function requestOf(method: string): SipRequest {
  const text = `${method} sip:a@127.0.0.1 SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKx
From: <sip:b@127.0.0.1>;tag=1
To: <sip:a@127.0.0.1>
Call-ID: c
CSeq: 1 ${method}

`;
  return message(text) as SipRequest;
}

function responseOf(method: string, status: number): SipResponse {
  const text = `SIP/2.0 ${status} Whatever
Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKy
From: <sip:b@127.0.0.1>;tag=1
To: <sip:a@127.0.0.1>;tag=2
Call-ID: c
CSeq: 1 ${method}

`;
  return message(text) as SipResponse;
}

/** A stack on a fake clock whose listener writes down when something was sent. */
function bench(refused?: Error) {
  const clock = new FakeClock();
  const sent: [number, string][] = [];
  const listener: Listener = {
    name: 'default',
    transport: 'udp',
    family: 4,
    address: '127.0.0.1',
    host: '127.0.0.1',
    port: 5_060,
    send(text, _to, failed) {
      sent.push([clock.now(), text]);
      if (refused) failed?.(refused);
    },
    connections: 0,
    reaches: () => true,
    suspect: () => undefined,
    probe(text, to) {
      listener.send(text, to);
      return { close: () => undefined };
    },
    close: () => Promise.resolve(),
  };
  const stack = new Stack(clock, rfcTimers);
  const times = (what: string): number[] => sent.filter(([, text]) => text === what).map(([at]) => at);
  return { clock, stack, listener, times };
}

function client(method: string, refused?: Error) {
  const base = bench(refused);
  const heard: string[] = [];
  const transaction = base.stack.openClient(
    { id: 't', branch: 'z9hG4bKy', method },
    { text: 'request', uri: 'sip:b', target: address, listener: base.listener, ackFor: () => 'ack' },
    {
      onResponse: ({ status }) => heard.push(String(status)),
      onNoResponse: ({ status }) => heard.push(`made up ${status}`),
      onEnded: () => heard.push(`over at ${base.clock.now()}`),
    },
  );
  transaction.machine.handle('start');
  const receive = (status: number): void => transaction.receive(responseOf(method, status), address);
  return { ...base, heard, receive, transaction };
}

function server(method: string) {
  const base = bench();
  const heard: string[] = [];
  const received = { request: requestOf(method), source: address, listener: base.listener };
  const transaction = base.stack.openServer(received, 'tag', {
    onTimeout: () => heard.push(`timeout at ${base.clock.now()}`),
    onEnded: () => heard.push(`over at ${base.clock.now()}`),
  });
  return { ...base, heard, transaction };
}

describe('INVITE client', () => {
  it('sends at 0, T1, 3*T1, 7*T1 ... and gives up after 64*T1 (timers A and B)', () => {
    const { clock, times, heard, stack } = client('INVITE');
    clock.pass(40_000);
    expect(times('request')).toEqual([0, 500, 1_500, 3_500, 7_500, 15_500, 31_500]);
    expect(heard).toEqual(['made up 408', 'over at 32000']);
    expect([clock.set, stack.transactions, stack.alarms.set]).toEqual([0, 0, 0]);
  });

  it('sends no more after a provisional response, and waits for ever', () => {
    const { clock, times, receive, heard } = client('INVITE');
    receive(100);
    clock.pass(1_000_000);
    expect(times('request')).toEqual([0]);
    expect(heard).toEqual(['100']);
  });

  it('acknowledges each copy of a failure for 32 seconds, delivering one (timer D)', () => {
    const { clock, times, receive, heard } = client('INVITE');
    receive(486);
    clock.pass(100);
    receive(486);
    clock.pass(40_000);
    expect(times('ack')).toEqual([0, 100]);
    expect(heard).toEqual(['486', 'over at 32000']);
  });

  it('delivers each copy of a 2xx for 64*T1 (timer M)', () => {
    const { clock, receive, heard } = client('INVITE');
    receive(200);
    clock.pass(10_000);
    receive(200);
    clock.pass(40_000);
    expect(heard).toEqual(['200', '200', 'over at 32000']);
  });

  it('that is cancelled gives up 64*T1 later', () => {
    const { clock, receive, heard, transaction } = client('INVITE');
    receive(180);
    clock.pass(5_000);
    transaction.machine.handle('cancelled');
    clock.pass(40_000);
    expect(heard).toEqual(['180', 'made up 487', 'over at 37000']);
  });

  it('that cannot be sent ends with 503 at once', () => {
    const { heard, clock } = client('INVITE', new Error('no route to host'));
    expect(heard).toEqual(['made up 503', 'over at 0']);
    expect(clock.set).toBe(0);
  });
});

describe('non-INVITE client', () => {
  it('sends at intervals of T1, 2*T1 ... up to T2, and gives up after 64*T1 (timers E and F)', () => {
    const { clock, times, heard } = client('OPTIONS');
    clock.pass(40_000);
    expect(times('request')).toEqual([
      0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500,
    ]);
    expect(heard).toEqual(['made up 408', 'over at 32000']);
  });

  it('goes on at intervals of T2 after a provisional response', () => {
    const { clock, times, receive } = client('OPTIONS');
    receive(100);
    clock.pass(10_000);
    expect(times('request')).toEqual([0, 500, 4_500, 8_500]);
  });

  it('absorbs copies of the final response for T4 (timer K)', () => {
    const { clock, receive, heard } = client('OPTIONS');
    receive(200);
    receive(200);
    clock.pass(10_000);
    expect(heard).toEqual(['200', 'over at 5000']);
  });
});

describe('INVITE server', () => {
  it('repeats a failure at T1, 2*T1 ... up to T2 until 64*T1 have passed (timers G and H)', () => {
    const { clock, times, heard, transaction } = server('INVITE');
    transaction.respond(486, 'busy');
    clock.pass(40_000);
    expect(times('busy')).toEqual([
      0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500,
    ]);
    expect(heard).toEqual(['timeout at 32000', 'over at 32000']);
  });

  it('falls silent at the ACK and absorbs its copies for T4 (timer I)', () => {
    const { clock, times, heard, transaction } = server('INVITE');
    transaction.respond(486, 'busy');
    transaction.machine.handle('ACK');
    transaction.machine.handle('ACK');
    clock.pass(40_000);
    expect(times('busy')).toEqual([0]);
    expect(heard).toEqual(['over at 5000']);
  });

  it('answers a copy of the INVITE with its last response, but with nothing once it was accepted (timer L)', () => {
    const { clock, times, heard, transaction } = server('INVITE');
    transaction.respond(180, 'ringing');
    transaction.machine.handle('request');
    transaction.respond(200, 'ok');
    transaction.machine.handle('request');
    clock.pass(40_000);
    expect(times('ringing')).toEqual([0, 0]);
    expect(times('ok')).toEqual([0]);
    expect(heard).toEqual(['over at 32000']);
  });

  it('takes no second final response', () => {
    const { transaction, times } = server('INVITE');
    expect(transaction.respond(200, 'ok')).toBe(true);
    expect(transaction.respond(486, 'busy')).toBe(false);
    expect(times('busy')).toEqual([]);
  });
});

describe('non-INVITE server', () => {
  it('answers copies of the request for 64*T1 (timer J)', () => {
    const { clock, times, heard, transaction } = server('OPTIONS');
    transaction.machine.handle('request');
    transaction.respond(200, 'ok');
    clock.pass(1_000);
    transaction.machine.handle('request');
    clock.pass(40_000);
    expect(times('ok')).toEqual([0, 1_000]);
    expect(heard).toEqual(['over at 32000']);
  });

  it('says after 64*T1 that the application did not answer', () => {
    const { clock, heard } = server('OPTIONS');
    clock.pass(32_000);
    expect(heard).toEqual(['timeout at 32000']);
  });
});
