/** Tacet's media plane in a process of its own, with a store behind it, so that a bench weighs them and nothing else. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { CallId, EpochMicros, RecordingId, Side } from '../../config/units.ts';
import { openStoreLink, type StoreLink } from '../../media/fork/store-link.ts';
import { startStoreProcess, type StoreProcess } from '../../media/fork/store-process.ts';
import type { RecordingStream } from '../../media/fork/sink.ts';
import type { MediaFork, MediaSession } from '../../media/plane.ts';
import { encodeAll } from '../../media/prompts/encoded.ts';
import type { Prompt } from '../../media/prompts/prompt.ts';
import { Catalogue } from '../../media/store/catalogue.ts';
import { openRelay } from '../../media/relay/relay.ts';
import { temporaryFolder } from '../peers/temporary-folder.ts';
import { answeredPort, offerOf } from './sdp.ts';

export type Order =
  | { do: 'anchor'; ports: number[] }
  /** Every call is recorded from now on. */
  | { do: 'record' }
  /** Every caller is played a prompt of so many seconds. */
  | { do: 'play'; seconds: number }
  /** Ends the recordings; tells how many the store has confirmed. */
  | { do: 'finish' };

export interface Answer {
  targets?: number[];
  storePid?: number;
  stored?: number;
  /** Packets of all forks, as the relay counted them. */
  copied?: number;
  /** Audio that the store found in them, both sides, in milliseconds. */
  storedMs?: number;
}

interface Recorded {
  stream: RecordingStream;
  fork: MediaFork;
}

await using folder = await temporaryFolder('bench-store');
const plane = openRelay({ address: '127.0.0.1', ports: { min: 20_000, max: 26_999 }, workers: 1 });
const sessions: MediaSession[] = [];
const recorded: Recorded[] = [];
let store: StoreProcess | undefined;
let link: StoreLink | undefined;

const left = Promise.withResolvers<undefined>();
process.on('disconnect', () => left.resolve(undefined));
process.on('message', (order: Order) => {
  void obey(order).then((answer) => process.send?.(answer));
});
await left.promise;
await plane[Symbol.asyncDispose]();
await link?.[Symbol.asyncDispose]();
await store?.[Symbol.asyncDispose]();

async function obey(order: Order): Promise<Answer> {
  switch (order.do) {
    case 'anchor':
      return { targets: await anchor(order.ports) };
    case 'record':
      return { storePid: await record() };
    case 'play':
      play(silence(order.seconds));
      return {};
    case 'finish':
      return finish();
  }
}

/** Puts the telephones two by two through the relay. @returns where each must send */
async function anchor(ports: number[]): Promise<number[]> {
  const targets: number[] = [];
  for (let at = 0; at + 1 < ports.length; at += 2) {
    const session = await plane.open(`bench-${at}` as CallId);
    sessions.push(session);
    const answer = await session.caller.answer(offerOf(ports[at]!));
    const offer = await session.agent.offer();
    await session.agent.accept(offerOf(ports[at + 1]!));
    await session.connect();
    targets.push(answeredPort(answer), answeredPort(offer));
  }
  return targets;
}

async function record(): Promise<number> {
  store ??= await startStoreProcess({ directory: folder.path });
  link ??= openStoreLink({
    url: store.url,
    token: store.token,
    agentId: 'bench',
    bootId: randomUUID(),
    spool: { directory: folder.path, maxBytes: 1024 * 1024 * 1024, sealTo: store.publicKey },
  });
  const codecs = { 8: 'PCMA/8000' };
  for (const session of sessions) {
    const stream = await link.open({
      recording: randomUUID() as RecordingId,
      call: randomUUID() as CallId,
      campaign: 'bench',
      purpose: 'training',
      class: 'sample',
      legalBasis: 'legitimate-interest',
      controller: 'bench',
      law: ['bench@1'],
      retainUntil: new Date(Date.now() + 86_400_000).toISOString(),
      allowedBy: '0'.repeat(64),
      startedAt: (Date.now() * 1_000) as EpochMicros,
      codecs: { caller: codecs, agent: codecs },
      parties: { caller: 'caller', agent: 'agent' },
    });
    recorded.push({ stream, fork: await session.fork((batch) => stream.write(batch)) });
  }
  return store.pid;
}

async function finish(): Promise<Answer> {
  let copied = 0;
  await Promise.all(
    recorded.splice(0).map(async ({ stream, fork }) => {
      const totals = await fork.stop();
      copied += totals.packets.caller + totals.packets.agent;
      return stream.close({ reason: 'hangup', totals });
    }),
  );
  await link?.flush(AbortSignal.timeout(120_000));
  await link?.[Symbol.asyncDispose]();
  using catalogue = new Catalogue(join(folder.path, 'catalogue.sqlite'));
  const kept = catalogue.all().filter(({ state }) => state === 'complete');
  const storedMs = kept
    .map(({ details }) => details as { storedMs: Record<Side, number> })
    .reduce((sum, { storedMs: { caller, agent } }) => sum + caller + agent, 0);
  return { stored: kept.length, copied, storedMs };
}

function play(prompt: Prompt): void {
  const never = new AbortController().signal;
  for (const { caller } of sessions) void caller.play(prompt, never);
}

function silence(seconds: number): Prompt {
  const samples = new Int16Array(seconds * 8_000);
  return {
    name: 'silence',
    hash: '00',
    durationMs: seconds * 1_000,
    encoded: encodeAll(samples),
  };
}
