import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { runCarrier, type CallResult } from '../../../../agent/cli/demo/carrier.ts';
import { DemoPbx } from '../../../../agent/cli/demo/pbx.ts';
import { formatMessage, headerOf, parseMessage } from '../../../../agent/cli/demo/sip-message.ts';
import { UserAgent } from '../../../../agent/cli/demo/user-agent.ts';

/** The far end as a bare socket: what it gets and what it says is in the test. */
class FarEnd implements AsyncDisposable {
  readonly port: number;
  readonly #socket: Socket;
  readonly #unread: string[] = [];
  #from: { address: string; port: number } | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.port = socket.address().port;
    socket.on('message', (datagram, from) => {
      this.#from = from;
      this.#unread.push(datagram.toString());
      socket.emit('unread');
    });
  }

  static async open(): Promise<FarEnd> {
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new FarEnd(socket);
  }

  async next(): Promise<string> {
    while (this.#unread.length === 0) await once(this.#socket, 'unread');
    return this.#unread.shift()!;
  }

  say(text: string, to = this.#from!): void {
    this.#socket.send(text, to.port, to.address);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await once(this.#socket, 'close');
  }
}

/** Looks again with each turn of the event loop. */
async function until(look: () => boolean): Promise<void> {
  while (!look()) await setImmediate();
}

/** A response to `request` as a far end gives it. */
function reply(request: string, status: string, more: string[] = [], body = ''): string {
  const lines = request.split('\r\n').filter((line) => /^(?:Via|From|Call-ID|CSeq):/u.test(line));
  const to = /^To: .*/mu.exec(request)![0].trim();
  const tagged = to.includes('tag=') ? to : `${to};tag=far`;
  return `${[`SIP/2.0 ${status}`, ...lines, tagged, ...more, `Content-Length: ${body.length}`].join('\r\n')}\r\n\r\n${body}`;
}

const sdp = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 8\r\n';
const startLine = (message: string): string => message.split('\r\n')[0]!;

describe('a telephone of the demo', () => {
  it('sends its INVITE again when nothing is heard of it, and the ACK again when the answer comes again', async () => {
    await using far = await FarEnd.open();
    await using agent = await UserAgent.open();
    const call = agent.call({ target: { address: '127.0.0.1', port: far.port }, called: 'a', caller: 'b', offer: sdp });
    const first = await far.next();
    expect(await far.next()).toBe(first);
    const answer = reply(first, '200 OK', [`Contact: <sip:far@127.0.0.1:${far.port}>`], sdp);
    far.say(answer);
    const ack = await far.next();
    expect(startLine(ack)).toBe(`ACK sip:far@127.0.0.1:${far.port} SIP/2.0`);
    far.say(answer);
    expect(await far.next()).toBe(ack);
    expect(await call.answer).toMatchObject({ status: 200, sdp });
  });

  it('follows the recorded route, in the order of RFC 3261 section 12.1.2', async () => {
    await using far = await FarEnd.open();
    await using agent = await UserAgent.open();
    const call = agent.call({ target: { address: '127.0.0.1', port: far.port }, called: 'a', caller: 'b', offer: sdp });
    const routes = [`<sip:127.0.0.1:1;lr>, <sip:127.0.0.1:${far.port};lr>`];
    far.say(
      reply(await far.next(), '200 OK', [`Record-Route: ${routes[0]}`, 'Contact: <sip:far@127.0.0.1:1>'], sdp),
    );
    const ack = await far.next();
    expect(startLine(ack)).toBe('ACK sip:far@127.0.0.1:1 SIP/2.0');
    expect(ack).toMatch(new RegExp(`Route: <sip:127.0.0.1:${far.port};lr>\r\nRoute: <sip:127.0.0.1:1;lr>`, 'u'));
    const hungUp = call.hangUp();
    const bye = await far.next();
    expect(startLine(bye)).toBe('BYE sip:far@127.0.0.1:1 SIP/2.0');
    far.say(reply(bye, '200 OK'));
    await hungUp;
    expect(await call.ended).toBe('us');
  });

  it('does not cancel before it has heard anything, and hangs up an answer that crosses its CANCEL', async () => {
    await using far = await FarEnd.open();
    await using agent = await UserAgent.open();
    const call = agent.call({ target: { address: '127.0.0.1', port: far.port }, called: 'a', caller: 'b', offer: sdp });
    const invite = await far.next();
    const hungUp = call.hangUp();
    far.say(reply(invite, '100 Trying'));
    const cancel = await far.next();
    expect(startLine(cancel)).toMatch(/^CANCEL /u);
    expect(headerOf(parseMessage(cancel)!, 'via')).toBe(headerOf(parseMessage(invite)!, 'via'));
    far.say(reply(cancel, '200 OK'));
    far.say(reply(invite, '200 OK', [`Contact: <sip:far@127.0.0.1:${far.port}>`], sdp));
    expect(startLine(await far.next())).toMatch(/^ACK /u);
    const bye = await far.next();
    expect(startLine(bye)).toMatch(/^BYE /u);
    far.say(reply(bye, '200 OK'));
    await hungUp;
  });

  it('gives up on a far end that says nothing, or nothing more after a CANCEL', async () => {
    await using far = await FarEnd.open();
    await using agent = await UserAgent.open({ t1Ms: 2 });
    const target = { address: '127.0.0.1', port: far.port };
    const unheard = agent.call({ target, called: 'a', caller: 'b', offer: sdp });
    expect(await unheard.answer).toMatchObject({ status: 408 });
    await using other = await FarEnd.open();
    const ringing = agent.call({
      target: { address: '127.0.0.1', port: other.port },
      called: 'a',
      caller: 'b',
      offer: sdp,
    });
    other.say(reply(await other.next(), '180 Ringing'));
    await ringing.hangUp();
    expect(await ringing.answer).toMatchObject({ status: 408 });
  });

  it('answers a request that comes twice the same way twice, and rings once', async () => {
    await using far = await FarEnd.open();
    let calls = 0;
    await using agent = await UserAgent.open({
      onCall: (call) => {
        calls += 1;
        call.refuse(486, 'Busy Here');
      },
    });
    const to = { address: '127.0.0.1', port: agent.port };
    const invite = `INVITE sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:${far.port};branch=z9hG4bK1\r\nFrom: <sip:y@z>;tag=1\r\nTo: <sip:x@z>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n`;
    far.say(invite, to);
    expect(startLine(await far.next())).toBe('SIP/2.0 100 Trying');
    const busy = await far.next();
    far.say(invite, to);
    expect(await far.next()).toBe(busy);
    expect(calls).toBe(1);
  });

  it('knows no dialog that it was not in', async () => {
    await using far = await FarEnd.open();
    await using agent = await UserAgent.open();
    far.say(
      `BYE sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:${far.port};branch=z9hG4bK2\r\nf: <sip:y@z>;tag=1\r\nt: <sip:x@z>;tag=2\r\ni: 1\r\nCSeq: 1 BYE\r\n\r\n`,
      { address: '127.0.0.1', port: agent.port },
    );
    expect(startLine(await far.next())).toBe('SIP/2.0 481 Call/Transaction Does Not Exist');
  });

  it('ignores what is not SIP', () => {
    expect(parseMessage('\r\n\r\n')).toBeUndefined();
    expect(parseMessage('GET / HTTP/1.1\r\n\r\n')).toBeUndefined();
  });

  it('writes what it reads', () => {
    const text = 'OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP c\r\nContent-Length: 3\r\n\r\nabc';
    const message = parseMessage(text)!;
    expect(formatMessage({ ...message, headers: message.headers.slice(0, 1) })).toBe(text);
  });
});

describe("the demo's carrier and PBX together", () => {
  it('carry every kind of call, with sound both ways', async () => {
    const speech = new Uint8Array(8_000).fill(0xd5);
    await using pbx = await DemoPbx.start({
      speech,
      isBusy: (called) => called.endsWith('486'),
      ringMs: { min: 150, max: 250 },
    });
    await using telephone = await UserAgent.open();
    const results: CallResult[] = [];
    const carrier = runCarrier({
      telephone,
      target: pbx,
      destinations: [{ campaign: 'support', called: '+33800000001', busy: '+33800000486' }],
      calls: 20,
      callsPerSecond: 40,
      mix: { talk: 2, refuser: 1, abandon: 1, busy: 1 },
      seed: 5,
      speech,
      times: { talkMs: 300, refuseAfterMs: 50, abandonAfterMs: 60 },
      pickedUp: (caller) => pbx.pickedUp(caller),
    });
    for await (const result of carrier) results.push(result);
    const ends = Object.groupBy(results, ({ script, status, hungUpBy }) => `${script} ${status} ${hungUpBy ?? '-'}`);
    expect(Object.fromEntries(Object.entries(ends).map(([end, calls]) => [end, calls!.length]))).toEqual({
      'talk 200 caller': 8,
      'refuser 200 caller': 4,
      'abandon 487 -': 4,
      'busy 486 -': 4,
    });
    await pbx.idle();
    expect(pbx.totals()).toMatchObject({ calls: 20, answered: 12, cancelled: 4, busy: 4 });
    expect(pbx.totals().digits).toEqual(['2', '2', '2', '2']);
    const sum = (of: (result: CallResult) => number): number => results.reduce((total, one) => total + of(one), 0);
    expect(sum(({ rtpSent }) => rtpSent)).toBeGreaterThan(12 * 10);
    expect(sum(({ rtpReceived }) => rtpReceived)).toBeGreaterThan(12 * 10);
  });

  it('leave nothing behind when they are closed in the middle of a call', async () => {
    const before = process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    const stop = new AbortController();
    const pbx = await DemoPbx.start({ speech: new Uint8Array(160), ringMs: { min: 600_000, max: 600_000 } });
    const carrier = runCarrier({
      target: pbx,
      destinations: [{ campaign: 'support', called: '+33800000001', busy: '+33800000486' }],
      calls: 3,
      callsPerSecond: 100,
      mix: { talk: 1 },
      seed: 1,
      speech: new Uint8Array(160),
      signal: stop.signal,
    });
    const over = carrier.next();
    await until(() => pbx.totals().calls === 3);
    stop.abort();
    expect((await over).value).toMatchObject({ status: 487 });
    await carrier.return();
    await pbx[Symbol.asyncDispose]();
    const after = process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    expect(after).toBeLessThanOrEqual(before);
  });
});
