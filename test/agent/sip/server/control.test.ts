/** The control protocol, byte by byte, spoken by a client that is not drachtio-srf. */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameError, FrameReader, frame, maxFrameBytes } from '../../../../agent/sip/server/control/frame.ts';
import { ListenFailed, startSipServer } from '../../../../agent/sip/server/server.ts';
import type { SipServer } from '../../../../agent/sip/server/server.ts';
import { nothingLeft, until } from './application.ts';
import { openPeer, request, response, sdp } from './peer.ts';

async function start(): Promise<SipServer> {
  return startSipServer({
    listen: [{ transport: 'udp', address: '127.0.0.1', port: 0 }],
    accept: () => true,
    timers: { t1Ms: 20, t2Ms: 160, t4Ms: 100 },
  });
}

interface Client extends Disposable {
  socket: Socket;
  frames: string[];
  tell(payload: string): void;
  /** Takes the next frame, waiting for it. */
  next(): Promise<string>;
  closed: boolean;
}

async function open({ control }: SipServer): Promise<Client> {
  const socket = connect(control.port, control.host);
  const frames: string[] = [];
  const reader = new FrameReader();
  const client: Client = {
    socket,
    frames,
    closed: false,
    tell: (payload) => socket.write(frame(payload), 'latin1'),
    async next() {
      await until(() => frames.length > 0, 'a frame', 5_000);
      return frames.shift()!;
    },
    [Symbol.dispose]: () => socket.destroy(),
  };
  socket.on('data', (chunk) => frames.push(...reader.read(chunk)));
  socket.on('error', () => undefined);
  socket.on('close', () => (client.closed = true));
  await new Promise<void>((resolve) => socket.once('connect', resolve));
  return client;
}

async function login(server: SipServer): Promise<Client> {
  const client = await open(server);
  client.tell(`1|authenticate|${server.control.secret}|`);
  const port = server.addresses[0]!.port;
  expect((await client.next()).split('|').slice(1)).toEqual([
    'response',
    '1',
    'OK',
    `udp/127.0.0.1:${port}`,
    'v0.9.10',
    `udp/127.0.0.1:${port}`,
  ]);
  client.tell('2|route|invite');
  expect((await client.next()).split('|').slice(1)).toEqual(['response', '2', 'OK']);
  return client;
}

/** Fields of the meta line, the time of day taken out. */
function meta(payload: string): string[] {
  const fields = payload.slice(0, payload.indexOf('\r\n')).split('|');
  return fields.map((field) => (/^\d\d:\d\d:\d\d\.\d{6}$/u.test(field) ? 'TIME' : field));
}

describe('frames', () => {
  it('come together however they were cut', () => {
    const payloads = fc.array(fc.string({ minLength: 1, maxLength: 40, unit: 'binary-ascii' }), {
      maxLength: 8,
    });
    fc.assert(
      fc.property(payloads, fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), (given, cuts) => {
        const stream = Buffer.from(given.map(frame).join(''), 'latin1');
        const reader = new FrameReader();
        const read: string[] = [];
        for (let at = 0, turn = 0; at < stream.length; turn++) {
          const size = cuts[turn % cuts.length]!;
          read.push(...reader.read(stream.subarray(at, at + size)));
          at += size;
        }
        expect(read).toEqual(given);
      }),
      { numRuns: 300 },
    );
  });

  it.each(['x', '12a#', '#abc', '0#', '999999#', '1234567890'])(
    'that begin with %s end the connection',
    (text) => {
      expect(() => [...new FrameReader().read(Buffer.from(text))]).toThrow(FrameError);
    },
  );

  it('may hold 256 KiB', () => {
    const payload = 'x'.repeat(maxFrameBytes);
    expect([...new FrameReader().read(Buffer.from(frame(payload), 'latin1'))]).toEqual([payload]);
    expect(() => [...new FrameReader().read(Buffer.from(frame(`${payload}x`), 'latin1'))]).toThrow(
      FrameError,
    );
  });
});

describe('the control port', () => {
  it('refuses a wrong secret and closes, and obeys nobody before', async () => {
    await using server = await start();
    using client = await open(server);
    client.tell('1|route|invite');
    expect((await client.next()).split('|').slice(1)).toEqual(['response', '1', 'NO', 'not authenticated']);
    client.tell('2|authenticate|wrong|');
    expect((await client.next()).split('|').slice(1)).toEqual(['response', '2', 'NO', 'incorrect secret']);
    await until(() => client.closed, 'the end of the connection');
  });

  it('answers every frame, whatever it asks', async () => {
    await using server = await start();
    using client = await login(server);
    const asked: [string, string][] = [
      ['ping', 'OK|pong'],
      ['remove_route|invite', 'OK'],
      ['dance', 'NO|unknown command'],
      ['proxy|x|', 'NOK|not supported'],
      ['sip||\r\nno message', 'NOK|unreadable message: no end of the start line'],
      ['sip|nothing|\r\nSIP/2.0 200 OK\r\n\r\n', 'NOK|Response not sent due to unknown transaction'],
      [
        'sip|nothing|\r\nCANCEL sip:a@b SIP/2.0\r\n\r\n',
        'NOK|unable to cancel unknown transaction id: nothing',
      ],
      [
        'sip||no;from-tag=1\r\nBYE sip:placeholder SIP/2.0\r\n\r\n',
        'NOK|Server error: unable to find dialog for dialog id provided',
      ],
      [
        'sip||no;from-tag=1\r\nACK sip:a@b SIP/2.0\r\n\r\n',
        'NOK|Server error: ACK for non-success final response is automatically generated by server',
      ],
      ['sip||\r\nMESSAGE sip:a@127.0.0.1 SIP/2.0\r\n\r\nhello', 'NOK|missing content-type'],
      ['sip||\r\nMESSAGE tel:+331 SIP/2.0\r\n\r\n', 'NOK|invalid request-uri: tel:+331'],
    ];
    for (const [question, answer] of asked) {
      client.tell(`rid|${question}`);
      expect((await client.next()).replace(/^\d+\|/u, '')).toBe(`response|rid|${answer}`);
    }
  });

  it('closes on what is no frame, and ends the calls of whoever sent it', async () => {
    await using server = await start();
    using client = await login(server);
    client.socket.write('GET / HTTP/1.1\r\n\r\n');
    await until(() => client.closed, 'the end of the connection');
    expect(server.statistics().applications).toBe(0);
  });

  it('lays out a call as drachtio-server does', async () => {
    await using server = await start();
    using client = await login(server);
    const { port } = server.addresses[0]!;
    await using peer = await openPeer(port);

    peer.send(request(peer, 'INVITE', { callId: 'layout', body: sdp }));
    const invite = await client.next();
    const [, , , bytes, , , , , t1] = meta(invite);
    const dlg = 'layout;from-tag=peer';
    const text = invite.slice(invite.indexOf('\r\n') + 2);
    expect(meta(invite).slice(1)).toEqual([
      'sip',
      'network',
      bytes,
      'udp',
      '127.0.0.1',
      String(peer.port),
      'TIME',
      t1,
      '',
      '127.0.0.1',
      String(port),
      '',
    ]);
    expect(bytes).toBe(String(text.length));
    expect(text).toMatch(/^INVITE sip:200@127\.0\.0\.1 SIP\/2\.0\r\nVia: /u);

    client.tell(`r1|sip|${t1}|\r\nSIP/2.0 200 OK\r\nContent-Length: 1\r\n\r\n${sdp}`);
    const echo = await client.next();
    const echoed = [
      'response',
      'r1',
      'OK',
      'application',
      meta(echo)[5],
      'udp',
      '127.0.0.1',
      String(peer.port),
      'TIME',
    ];
    expect(meta(echo).slice(1)).toEqual([...echoed, t1, dlg, '', 'Msg sent:', '']);
    expect(echo).toContain(`\r\nContact: <sip:127.0.0.1:${port}>\r\n`);
    expect(echo.endsWith(`Content-Length: ${sdp.length}\r\n\r\n${sdp}`)).toBe(true);

    const toTag = (await peer.next(200)).to.params.get('tag')!;
    peer.send(request(peer, 'ACK', { callId: 'layout', toTag }));
    const ack = await client.next();
    expect(meta(ack).slice(1)).toEqual([
      'sip',
      'network',
      meta(ack)[3],
      'udp',
      '127.0.0.1',
      String(peer.port),
      'TIME',
      t1,
      dlg,
      '',
    ]);

    client.tell(`r2|sip||${dlg}\r\nBYE sip:placeholder SIP/2.0\r\n\r\n`);
    const sent = await client.next();
    const t2 = meta(sent)[10];
    expect(meta(sent).slice(1)).toEqual([
      'response',
      'r2',
      'OK',
      'application',
      meta(sent)[5],
      'udp',
      '127.0.0.1',
      String(port),
      'TIME',
      t2,
      'Msg sent:',
      '',
    ]);
    peer.send(response(peer, await peer.next('BYE'), 200));
    expect(meta(await client.next()).slice(8)).toEqual([t2, dlg, '']);
    await nothingLeft(server);
  });

  it('takes a body of 100,000 bytes to the network layer, which says what it thinks of it', async () => {
    await using server = await start();
    using client = await login(server);
    await using peer = await openPeer(server.addresses[0]!.port);
    const body = 'x'.repeat(60_000);
    const head = `MESSAGE sip:a@127.0.0.1:${peer.port} SIP/2.0\r\ncontent-type: text/plain\r\n\r\n`;
    client.tell(`r|sip||\r\n${head}${body}`);
    expect((await client.next()).length).toBeGreaterThan(60_000);
    expect((await peer.next('MESSAGE')).body).toBe(body);
    client.tell(`r|sip||\r\n${head}${body}${body}`);
    await client.next();
    expect(await client.next()).toContain('SIP/2.0 503 Service Unavailable');
  });
});

describe('listening', () => {
  it('fails by name when the port is taken, leaving nothing bound', async () => {
    await using server = await start();
    const { address, port } = server.addresses[0]!;
    const failure = startSipServer({
      listen: [
        { transport: 'udp', address, port: 0 },
        { transport: 'udp', address, port },
      ],
      accept: () => true,
    });
    await expect(failure).rejects.toThrow(ListenFailed);
    await expect(failure).rejects.toMatchObject({ address, port, code: 'EADDRINUSE' });
  });

  it('on several addresses answers on each from where it was asked', async () => {
    await using server = await startSipServer({
      listen: [
        { transport: 'udp', address: '127.0.0.1', port: 0 },
        { transport: 'udp', address: '127.0.0.1', port: 0 },
      ],
      accept: () => true,
    });
    for (const { port } of server.addresses) {
      await using peer = await openPeer(port);
      peer.send(request(peer, 'OPTIONS'));
      expect(await peer.next(503)).toMatchObject({ kind: 'response' });
    }
  });
});
