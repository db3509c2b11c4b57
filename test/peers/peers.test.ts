import { connect } from 'node:net';
import { once } from 'node:events';
import { createSocket } from 'node:dgram';
import { describe, expect, it } from 'vitest';
import { Phone } from './baresip.ts';
import { freePort, freePortRange, isFree } from './free-port.ts';
import { Program } from './program.ts';
import { RedisServer } from './redis.ts';
import { Capture } from './tshark.ts';
import { findIn, levels, readWav, soundingMs } from './wav.ts';

const prompt = (name: string): string =>
  new URL(`../../config/prompts/${name}.wav`, import.meta.url).pathname;

describe('a sound in a sound', () => {
  it('is found where it begins, whatever its volume', async () => {
    const speech = (await readWav(prompt('demo/caller-fr'))).channels[0]!;
    const other = (await readWav(prompt('demo/agent-fr'))).channels[0]!;
    const signal = new Float64Array(8_000 * 8);
    signal.set(
      speech.map((sample) => sample * 0.2),
      8_000 * 1.25,
    );
    const match = findIn(signal, speech);
    expect(match.offsetMs).toBe(1_250);
    expect(match.likeness).toBeGreaterThan(0.999);
    expect(findIn(signal, other).likeness).toBeLessThan(0.3);
    expect(findIn(signal.subarray(8_000 * 1.5), speech).offsetMs).toBe(-250);
    expect(findIn(new Float64Array(8_000), speech).likeness).toBe(0);
  });

  it('has a level in each 20 ms', () => {
    const signal = new Float64Array(480).fill(0.5, 160, 320);
    expect(levels(signal)).toEqual([-Infinity, expect.closeTo(-6.02, 2), -Infinity]);
    expect(soundingMs(signal)).toBe(20);
  });
});

describe('free ports', () => {
  it('are free, even, adjacent, and never given twice', async () => {
    const range = await freePortRange(6);
    expect(range.min % 2).toBe(0);
    expect(range.max - range.min).toBe(5);
    const ports = await Promise.all(Array.from({ length: 20 }, () => freePort()));
    expect(new Set(ports).size).toBe(20);
  });

  it('are told from taken ones', async () => {
    const port = await freePort();
    const socket = createSocket('udp4').bind(port, '127.0.0.1');
    await once(socket, 'listening');
    expect([await isFree('udp', port), await isFree('tcp', port)]).toEqual([false, true]);
    socket.close();
  });
});

describe('a program', () => {
  it('is gone when the block is left, even if it ignores SIGTERM', async () => {
    let pid = 0;
    {
      await using stubborn = await Program.start('bash', [
        '-c',
        'trap "" TERM; echo ready; while :; do read -t 1; done',
      ]);
      await stubborn.printed(/ready/u);
      ({ pid } = stubborn);
      expect(await stubborn.stop(50)).toEqual({ code: undefined, signal: 'SIGKILL' });
    }
    expect(() => process.kill(pid, 0)).toThrow(/ESRCH/u);
  });

  it('that ends before it says what we wait for shows what it said', async () => {
    await using brief = await Program.start('bash', ['-c', 'echo something else; exit 3']);
    await expect(brief.printed(/ready/u)).rejects.toThrow(/ended while.*something else/su);
    expect((await brief.exited).code).toBe(3);
  });

  it('that is not installed is an error at once', async () => {
    await expect(Program.start('no-such-program', [])).rejects.toThrow(/ENOENT/u);
  });
});

describe('Redis', () => {
  const ask = async (port: number, line: string): Promise<string> => {
    const socket = connect(port, '127.0.0.1');
    try {
      socket.write(`${line}\r\n`);
      const [answer] = (await once(socket, 'data')) as [Buffer];
      return answer.toString().trim();
    } finally {
      socket.destroy();
    }
  };

  it('keeps what it acknowledged when it is killed and started again', async () => {
    await using redis = await RedisServer.start({ durable: true });
    expect(await ask(redis.port, 'SET recorded 7')).toBe('+OK');
    await redis.kill();
    await expect(ask(redis.port, 'PING')).rejects.toThrow(/ECONNREFUSED/u);
    await redis.restart();
    expect(await ask(redis.port, 'GET recorded')).toMatch(/7$/u);
  });

  it('answers nothing while it is frozen, and everything after', async () => {
    await using redis = await RedisServer.start();
    redis.freeze();
    const answer = ask(redis.port, 'PING');
    redis.thaw();
    expect(await answer).toBe('+PONG');
  });
});

describe('tshark', () => {
  it('complains of what is malformed', async () => {
    const port = await freePort();
    await using capture = await Capture.start(`udp port ${port}`);
    const socket = createSocket('udp4').bind(port, '127.0.0.1');
    await once(socket, 'listening');
    // Fifteen contributing sources are announced, none is there.
    socket.send(Uint8Array.of(0x8f, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1), port, '127.0.0.1');
    await once(socket, 'message');
    socket.close();
    await capture.stop();
    expect(await capture.complaints([`udp.port==${port},rtp`])).toMatchObject([
      { severity: 'error', message: expect.stringMatching(/malformed/iu) as string },
    ]);
  });
});

describe('baresip', () => {
  const pair = async (): Promise<{ caller: Phone; agent: Phone } & AsyncDisposable> => {
    await using started = new AsyncDisposableStack();
    const agent = started.use(
      await Phone.start({ user: 'agent', speech: prompt('demo/agent-fr'), answers: 'auto', lastsMs: 20_000 }),
    );
    const caller = started.use(
      await Phone.start({ user: 'caller', speech: prompt('demo/caller-fr'), lastsMs: 20_000, waitsMs: 300 }),
    );
    await caller.dial(agent.uri);
    await Promise.all([caller.saw('CALL_ESTABLISHED'), agent.saw('CALL_ESTABLISHED')]);
    const stack = started.move();
    return { caller, agent, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  };

  it('hears what the other says, each in its own direction', async () => {
    await using phones = await pair();
    const { caller, agent } = phones;
    await Promise.all([agent.heardFor(2_000), caller.heardFor(2_000)]);
    await caller.hangUp();
    await agent.saw('CALL_CLOSED');
    const sound = async (file: Promise<string>): Promise<Float64Array> =>
      (await readWav(await file)).channels[0]!;
    const [callerSaid, agentSaid] = [await sound(caller.said()), await sound(agent.said())];
    const [callerHeard, agentHeard] = [await sound(caller.heard()), await sound(agent.heard())];
    const before = (said: Float64Array): Float64Array => said.subarray(0, 8_000 * 1.5);
    expect(findIn(agentHeard, before(callerSaid)).likeness).toBeGreaterThan(0.95);
    expect(findIn(callerHeard, before(agentSaid)).likeness).toBeGreaterThan(0.95);
    expect(findIn(callerHeard, before(callerSaid)).likeness).toBeLessThan(0.5);
  });

  it('presses keys that the other hears, holds and resumes', async () => {
    await using phones = await pair();
    const { caller, agent } = phones;
    await caller.press('2');
    expect(await agent.saw('CALL_DTMF_START')).toMatchObject({ param: '2' });
    await agent.saw('CALL_DTMF_END');
    await caller.hold();
    await agent.saw('CALL_REMOTE_SDP');
    await caller.resume();
    await agent.hangUp();
    await caller.saw('CALL_CLOSED');
  });
});
