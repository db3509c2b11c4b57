import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BencodeMalformed } from '../../../media/rtpengine/bencode.ts';
import { NgClient, NgUnanswered, readMessage, writeMessage } from '../../../media/rtpengine/ng.ts';
import { RtpengineUnderTest } from '../../peers/rtpengine.ts';
import { fakeEngine } from './fake-engine.ts';

const sendAtMs = [0, 20, 60];
const quick = { sendAtMs, giveUpMs: 120 };
const patient = { sendAtMs, giveUpMs: 10_000 };

test('a message is a cookie, a space and a dictionary', () => {
  const datagram = writeMessage('a-1', { command: 'ping' });
  expect(String(datagram)).toBe('a-1 d7:command4:pinge');
  expect(readMessage(datagram)).toEqual({ cookie: 'a-1', message: { command: 'ping' } });
});

test.each(['', ' ', 'a-1', ' d7:command4:pinge', 'a-1 i1e', 'a-1 le', 'a-1 d7:command4:ping'])(
  '%j is no message',
  (text) => {
    expect(() => readMessage(Buffer.from(text))).toThrow(BencodeMalformed);
  },
);

test('no datagram does more than be refused', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (any) => {
      try {
        readMessage(any);
      } catch (error) {
        expect(error).toBeInstanceOf(BencodeMalformed);
      }
    }),
  );
});

test('a question that is lost is asked again under the same cookie; no two questions share one', async () => {
  await using engine = await fakeEngine((_asked, time) =>
    time === 3 || time > 3 ? { result: 'pong' } : undefined,
  );
  using client = new NgClient(engine.address, patient);
  await client.ask({ command: 'ping' });
  await client.ask({ command: 'ping' });
  const cookies = engine.asked.map(({ cookie }) => cookie);
  expect(new Set(cookies.slice(0, 3)).size).toBe(1);
  expect(new Set(cookies).size).toBe(2);
});

test('answers are matched by cookie, in whatever order they come', async () => {
  await using engine = await fakeEngine(({ message }) => ({ result: 'ok', sdp: message['call-id'] ?? '' }));
  using client = new NgClient(engine.address, patient);
  const replies = await Promise.all(
    ['a', 'b', 'c'].map((id) => client.ask({ command: 'query', 'call-id': id })),
  );
  expect(replies.map(({ sdp }) => sdp)).toEqual(['a', 'b', 'c']);
});

test.each([
  ['silence', undefined],
  ['garbage', Buffer.from('no such thing')],
  ['the answer to another', Buffer.from('other d6:result4:ponge')],
])('%s is no answer, and is given up', async (_what, reply) => {
  await using engine = await fakeEngine(() => reply);
  using client = new NgClient(engine.address, quick);
  await expect(client.ask({ command: 'ping' })).rejects.toThrow(NgUnanswered);
  await expect.poll(() => engine.asked.length).toBe(3);
});

test('a refusal says what the server said; a call that it has forgotten is told apart', async () => {
  await using engine = await fakeEngine(({ message }) => ({
    result: 'error',
    'error-reason': message['call-id'] === 'gone' ? 'Unknown call-ID' : 'Ran out of ports',
  }));
  using client = new NgClient(engine.address, patient);
  const refusal = (id: string) =>
    client.ask({ command: 'query', 'call-id': id }).catch((error: unknown) => error);
  expect(await refusal('gone')).toMatchObject({ callUnknown: true });
  expect(await refusal('here')).toMatchObject({ callUnknown: false, reason: 'Ran out of ports' });
});

test("Debian's rtpengine answers a ping, and knows no call that it was not told of", async () => {
  await using engine = await RtpengineUnderTest.start();
  using client = new NgClient(engine.address, { sendAtMs: [0, 300, 900, 2_000], giveUpMs: 5_000 });
  expect(await client.ask({ command: 'ping' })).toEqual({ result: 'pong' });
  await expect(client.ask({ command: 'query', 'call-id': 'none' })).rejects.toMatchObject({
    callUnknown: true,
  });
});
