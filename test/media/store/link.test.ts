import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import type { CallId, EpochMicros, RecordingId } from '../../../config/units.ts';
import { BatchWriter } from '../../../media/fork/batch.ts';
import { openStoreLink, type LinkEvent, type StoreLink } from '../../../media/fork/store-link.ts';
import { startStoreProcess } from '../../../media/fork/store-process.ts';
import type { RecordingEnd, RecordingHeader } from '../../../media/fork/sink.ts';
import { subprotocol } from '../../../media/fork/protocol.ts';
import { openStoreReader } from '../../../media/store/reader.ts';
import { startStore, type Store } from '../../../media/store/server.ts';
import { rtpPacket } from '../../peers/pcap.ts';
import { temporaryFolder } from '../../peers/temporary-folder.ts';

const token = 'a-token-for-the-test';
const startedAt = 1_790_000_000_000_000 as EpochMicros;
let counter = 0;

function header(retainUntil = '2099-01-01T00:00:00.000Z'): RecordingHeader {
  const codecs = { 8: 'PCMA/8000' };
  return {
    recording: `recording-${++counter}` as RecordingId,
    call: 'call-1' as CallId,
    campaign: 'support-fr',
    purpose: 'training',
    class: 'quality',
    legalBasis: 'legitimate-interest',
    controller: 'Marco SA',
    law: ['FR-consumer-quality@2026-11-23'],
    retainUntil,
    allowedBy: 'a'.repeat(64),
    startedAt,
    codecs: { caller: codecs, agent: codecs },
    parties: { caller: 'p1', agent: 'p2' },
  };
}

/** The n-th 20 ms of both sides, as one batch. */
function batch(turn: number): Uint8Array {
  const writer = new BatchWriter();
  for (const [index, side] of (['caller', 'agent'] as const).entries()) {
    const packet = rtpPacket({
      type: 8,
      marker: false,
      sequence: turn,
      timestamp: turn * 160,
      ssrc: index + 1,
      payload: new Uint8Array(160).fill(0x2a),
    });
    writer.append(turn * 2 + index, side, startedAt + turn * 20_000, packet, 0, packet.length);
  }
  return writer.take();
}

function end(turns: number): RecordingEnd {
  const both = { caller: turns, agent: turns };
  return {
    reason: 'hangup',
    totals: { stoppedAt: (startedAt + turns * 20_000) as EpochMicros, packets: both, bytes: both },
  };
}

interface Bench extends AsyncDisposable {
  store: Store;
  link: StoreLink;
  events: LinkEvent[];
  folder: string;
}

async function bench(options: { maxBytes?: number; ramBytes?: number } = {}): Promise<Bench> {
  const home = await temporaryFolder('link');
  const store = await startStore({ directory: join(home.path, 'store'), token });
  const events: LinkEvent[] = [];
  const link = openStoreLink({
    url: store.url,
    token,
    agentId: 'site',
    bootId: 'boot-1',
    spool: {
      directory: join(home.path, 'spool'),
      maxBytes: options.maxBytes ?? 1_000_000,
      sealTo: store.publicKey,
    },
    ...(options.ramBytes === undefined ? {} : { ramBytes: options.ramBytes }),
    reconnectMs: { min: 10, max: 50 },
    onEvent: (event) => events.push(event),
  });
  const made: Bench = {
    store,
    link,
    events,
    folder: home.path,
    async [Symbol.asyncDispose]() {
      await link[Symbol.asyncDispose]();
      await made.store[Symbol.asyncDispose]();
      await home[Symbol.asyncDispose]();
    },
  };
  return made;
}

function stored(folder: string) {
  using reader = openStoreReader(join(folder, 'store'));
  return reader.recordings();
}

test('what is written comes out as it went in, on both sides, without a gap', async () => {
  await using home = await bench();
  const stream = await home.link.open(header());
  for (let turn = 0; turn < 50; turn++) stream.write(batch(turn));
  expect(await stream.close(end(50))).toBe('stored');
  const [recording] = stored(home.folder);
  expect(recording).toMatchObject({
    state: 'complete',
    details: { durationMs: 1_000, gaps: [], storedMs: { caller: 1_000, agent: 1_000 } },
  });
  expect(home.link.statistics()).toMatchObject({ streams: 0, backlogBytes: 0 });
});

test('nothing that lies on the disk can be read without the keys', async () => {
  await using home = await bench();
  const stream = await home.link.open(header());
  for (let turn = 0; turn < 20; turn++) stream.write(batch(turn));
  await stream.close(end(20));
  const audio = Buffer.alloc(160, 0x2a);
  for (const file of readdirSync(join(home.folder, 'store', 'objects'))) {
    expect(readFileSync(join(home.folder, 'store', 'objects', file)).includes(audio)).toBe(false);
  }
});

test('a connection cut at any time loses nothing and doubles nothing', async () => {
  await using home = await bench();
  const stream = await home.link.open(header());
  for (let turn = 0; turn < 60; turn++) {
    stream.write(batch(turn));
    if (turn % 15 === 7) {
      const before = home.events.filter(({ kind }) => kind === 'connected').length;
      home.store.disconnectAll();
      await expect
        .poll(() => home.events.filter(({ kind }) => kind === 'connected').length)
        .toBeGreaterThan(before);
    }
  }
  await stream.close(end(60));
  await home.link.flush(AbortSignal.timeout(5_000));
  const [recording] = stored(home.folder);
  expect(recording!.details).toMatchObject({
    durationMs: 1_200,
    gaps: [],
    storedMs: { caller: 1_200, agent: 1_200 },
  });
});

test('memory that runs out is continued on disk, sealed, and all of it arrives', async () => {
  await using home = await bench({ ramBytes: 2_000 });
  await expect.poll(() => home.link.statistics().connected).toBe(true);
  const stream = await home.link.open(header());
  for (let turn = 0; turn < 40; turn++) stream.write(batch(turn));
  expect(home.link.statistics().spooledBytes).toBeGreaterThan(0);
  expect(await stream.close(end(40))).toBe('stored');
  expect(stored(home.folder)[0]!.details).toMatchObject({ durationMs: 800, gaps: [] });
  expect(home.link.statistics()).toMatchObject({ backlogBytes: 0, spooledBytes: 0 });
});

test('a full spool fails the recording, says so, and throws at nobody', async () => {
  await using home = await bench({ maxBytes: 1_500 });
  const stream = await home.link.open(header());
  for (let turn = 0; turn < 10; turn++) stream.write(batch(turn));
  expect(stream.failed.aborted).toBe(true);
  expect(home.events).toContainEqual(
    expect.objectContaining({ kind: 'stream-failed', reason: 'spool-full' }),
  );
});

test('a destroyed recording is gone: key, files and row; its receipt is the same whenever it is asked for', async () => {
  await using home = await bench();
  const stream = await home.link.open(header());
  for (let turn = 0; turn < 10; turn++) stream.write(batch(turn));
  const receipt = await stream.destroy('refused');
  expect(receipt).toMatchObject({
    recording: stream.recording,
    proof: expect.stringMatching(/^[0-9a-f]{64}$/u) as string,
  });
  expect(stored(home.folder)).toEqual([]);
  const left = ['journal', 'objects', 'keys'].flatMap((part) =>
    readdirSync(join(home.folder, 'store', part)),
  );
  expect(left.filter((file) => file.includes(stream.recording))).toEqual([]);
  expect(home.store.vault.destroy(stream.recording, 'refused')).toEqual(receipt);
});

test('a destruction owed while the store is away is paid after a restart of the agent', async () => {
  await using home = await temporaryFolder('owed');
  const spool = { directory: join(home.path, 'spool'), maxBytes: 1_000_000, sealTo: '' };
  await using store = await startStore({ directory: join(home.path, 'store'), token });
  const site = {
    url: store.url,
    token,
    agentId: 'site',
    spool: { ...spool, sealTo: store.publicKey },
    reconnectMs: { min: 10, max: 50 },
  };
  {
    await using away = openStoreLink({ ...site, url: 'ws://127.0.0.1:9', bootId: 'one' });
    const stream = await away.open(header());
    stream.write(batch(0));
    void stream.destroy('refused');
    expect(away.statistics().openDestroys).toBe(1);
  }
  await using back = openStoreLink({ ...site, bootId: 'two' });
  await back.flush(AbortSignal.timeout(5_000));
  expect(back.statistics().openDestroys).toBe(0);
  expect(store.vault.tombstones()).toMatchObject([{ reason: 'refused' }]);
});

test('what is past its date is erased', async () => {
  await using home = await bench();
  const stream = await home.link.open(header('2027-01-01T00:00:00.000Z'));
  stream.write(batch(0));
  await stream.close(end(1));
  expect(home.store.vault.sweep(new Date('2026-12-31T23:59:59Z'))).toEqual([]);
  expect(home.store.vault.sweep(new Date('2027-01-01T00:00:00Z'))).toHaveLength(1);
  expect(stored(home.folder)).toEqual([]);
});

test('a call without a packet has an explicit empty recording', async () => {
  await using home = await bench();
  const stream = await home.link.open(header());
  await stream.close(end(0));
  expect(stored(home.folder)).toMatchObject([
    { state: 'complete', details: { durationMs: 0, storedMs: { caller: 0, agent: 0 } } },
  ]);
});

test('a store that is killed keeps what it acknowledged and takes the rest when it is back', async () => {
  await using home = await temporaryFolder('killed');
  await using store = await startStoreProcess({ directory: join(home.path, 'store') });
  await using link = openStoreLink({
    ...store,
    agentId: 'site',
    bootId: 'boot',
    spool: { directory: join(home.path, 'spool'), maxBytes: 1_000_000, sealTo: store.publicKey },
    reconnectMs: { min: 20, max: 100 },
  });
  const stream = await link.open(header());
  for (let turn = 0; turn < 30; turn++) stream.write(batch(turn));
  await expect.poll(() => link.statistics().backlogBytes, { timeout: 5_000 }).toBe(0);
  process.kill(store.pid, 'SIGKILL');
  for (let turn = 30; turn < 60; turn++) stream.write(batch(turn));
  void stream.close(end(60));
  await link.flush(AbortSignal.timeout(15_000));
  expect(stored(home.path)).toMatchObject([{ state: 'complete', details: { durationMs: 1_200, gaps: [] } }]);
});

/** Ends the store when it has all, lets something happen meanwhile, and starts it again in its place. @returns its problems */
async function whileAway(home: Bench, happens: () => unknown): Promise<string[]> {
  await expect.poll(() => home.link.statistics().backlogBytes, { timeout: 5_000 }).toBe(0);
  const port = Number(new URL(home.store.url).port);
  home.store.disconnectAll();
  await home.store[Symbol.asyncDispose]();
  await happens();
  const problems: string[] = [];
  home.store = await startStore({
    directory: join(home.folder, 'store'),
    token,
    port,
    onProblem: (problem) => problems.push(problem),
  });
  return problems;
}

async function changeByte(path: string, index: number): Promise<void> {
  const bytes = await readFile(path);
  bytes[bytes.length + index]! ^= 1;
  await writeFile(path, bytes);
}

const journalOf = (home: Bench, { recording }: { recording: RecordingId }): string =>
  join(home.folder, 'store', 'journal', `${recording}.journal`);

test('a journal that cannot be read costs its own recording, and no other', async () => {
  await using home = await bench();
  const [broken, sound] = [await home.link.open(header()), await home.link.open(header())];
  for (const stream of [broken, sound]) stream.write(batch(0));
  const problems = await whileAway(home, () => changeByte(journalOf(home, broken), -1));
  await once(broken.failed, 'abort');
  expect(broken.failed.reason).toBe('unreadable');
  expect(problems).toEqual([
    expect.stringMatching(`^recording ${broken.recording} is refused: chunk 1 was changed`),
  ]);
  expect(home.events).toContainEqual(
    expect.objectContaining({ kind: 'stream-failed', recording: broken.recording, reason: 'unreadable' }),
  );
  sound.write(batch(1));
  expect(await sound.close(end(2))).toBe('stored');
});

test('a store that lost what it had acknowledged costs the recording, and is not asked for the rest for ever', async () => {
  await using home = await bench();
  const stream = await home.link.open(header());
  for (let turn = 0; turn < 3; turn++) stream.write(batch(turn));
  await whileAway(home, () => writeFile(journalOf(home, stream), ''));
  await once(stream.failed, 'abort');
  expect(stream.failed.reason).toBe('store-lost-audio');
  await home.link.flush(AbortSignal.timeout(5_000));
  expect(home.link.statistics()).toMatchObject({ streams: 0, backlogBytes: 0 });
});

test('audio that the disk of the agent changed costs its own recording, which keeps what came before', async () => {
  await using home = await bench({ ramBytes: 0 });
  const [broken, sound] = [await home.link.open(header()), await home.link.open(header())];
  for (const stream of [broken, sound]) stream.write(batch(0));
  const problems = await whileAway(home, async () => {
    for (const stream of [broken, sound]) stream.write(batch(1));
    await changeByte(join(home.folder, 'spool', `${broken.recording}.sealed`), -1);
  });
  await once(broken.failed, 'abort');
  expect(broken.failed.reason).toBe('malformed');
  expect(await sound.close(end(2))).toBe('stored');
  expect(problems).toEqual([
    `recording ${broken.recording}, frame 1: a sealed box is not for this store, or was changed`,
  ]);
  await expect
    .poll(() => stored(home.folder).find(({ header: { recording } }) => recording === broken.recording))
    .toMatchObject({ state: 'interrupted', details: { storedMs: { caller: 20, agent: 20 } } });
});

test('whatever a stranger sends, the store closes that connection and goes on', async () => {
  await using home = await bench();
  const send = async (frames: (string | Uint8Array)[]): Promise<void> => {
    const socket = new WebSocket(home.store.url, subprotocol, {
      headers: { Authorization: `Bearer ${token}` },
    });
    await once(socket, 'open');
    for (const frame of frames) socket.send(frame);
    socket.close();
    await once(socket, 'close');
  };
  const hello = JSON.stringify({ type: 'hello', agent: 'x', boot: 'y' });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(fc.string(), fc.uint8Array({ minLength: 1, maxLength: 60 }), fc.constant(hello)), {
        maxLength: 5,
      }),
      send,
    ),
    { numRuns: 60 },
  );
  const stream = await home.link.open(header());
  stream.write(batch(0));
  expect(await stream.close(end(1))).toBe('stored');
});

test('an agent of the version before is refused in words, and so is a store of it', async () => {
  await using home = await temporaryFolder('versions');
  const problems: string[] = [];
  await using store = await startStore({
    directory: join(home.path, 'store'),
    token,
    onProblem: (problem) => problems.push(problem),
  });
  const agent = new WebSocket(store.url, 'tacet.rec.v1', { headers: { Authorization: `Bearer ${token}` } });
  const [error] = (await once(agent, 'error')) as [Error];
  expect(error.message).toContain('426');
  expect(problems).toEqual([`store link: an agent offers tacet.rec.v1, this store speaks ${subprotocol}`]);

  const former = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => false });
  await once(former, 'listening');
  const told = Promise.withResolvers<LinkEvent>();
  {
    await using _link = openStoreLink({
      url: `ws://127.0.0.1:${(former.address() as AddressInfo).port}`,
      token,
      agentId: 'site',
      bootId: 'boot',
      spool: { directory: join(home.path, 'spool'), maxBytes: 1_000, sealTo: store.publicKey },
      onEvent: told.resolve,
    });
    expect(await told.promise).toEqual({
      kind: 'unreachable',
      reason: expect.stringContaining('no subprotocol') as string,
    });
  }
  former.close();
});

test('an agent that a store of another version refuses says so once', async () => {
  await using home = await temporaryFolder('refused');
  let asked = 0;
  const again = Promise.withResolvers<undefined>();
  const later = createServer((_request, response) => response.end()).on('upgrade', (_request, socket) => {
    socket.on('error', () => undefined).end('HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n');
    if (++asked === 3) again.resolve(undefined);
  });
  await once(later.listen(0, '127.0.0.1'), 'listening');
  const events: LinkEvent[] = [];
  {
    await using _link = openStoreLink({
      url: `ws://127.0.0.1:${(later.address() as AddressInfo).port}`,
      token,
      agentId: 'site',
      bootId: 'boot',
      spool: { directory: join(home.path, 'spool'), maxBytes: 1_000, sealTo: '' },
      reconnectMs: { min: 5, max: 20 },
      onEvent: (event) => events.push(event),
    });
    await again.promise;
  }
  expect(events).toEqual([
    { kind: 'unreachable', reason: expect.stringContaining('different versions') as string },
  ]);
  later.close();
});

test('a wrong token is not let in', async () => {
  await using home = await bench();
  const socket = new WebSocket(home.store.url, subprotocol, {
    headers: { Authorization: 'Bearer nonsense' },
  });
  const [error] = (await once(socket, 'error')) as [Error];
  expect(error.message).toContain('401');
});
