import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StreamBroken, StreamReader } from '../../../../../agent/sip/server/transport/stream-reader.ts';
import type { StreamPiece } from '../../../../../agent/sip/server/transport/stream-reader.ts';

const bounds = { headBytes: 2_000, messageBytes: 4_000 };

function message(body = '', ...headers: string[]): string {
  const lines = ['MESSAGE sip:a@b SIP/2.0', 'Via: SIP/2.0/TCP x;branch=z9hG4bK1', ...headers];
  return `${lines.join('\r\n')}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

/** What comes out, in words: a message as its text. */
function read(reader: StreamReader, chunk: string): string[] {
  const told = (piece: StreamPiece): string =>
    piece.kind === 'message' ? piece.bytes.toString('latin1') : piece.kind;
  return [...reader.read(Buffer.from(chunk, 'latin1'))].map(told);
}

describe('messages in a stream', () => {
  it('come out whole however they were cut, keep-alives between them', () => {
    const parts = fc.array(
      fc.oneof(
        fc.string({ maxLength: 300, unit: 'binary-ascii' }).map((body) => message(body)),
        fc.constant('\r\n\r\n'),
      ),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(parts, fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (given, cuts) => {
        const stream = given.join('');
        const reader = new StreamReader(bounds);
        const got: string[] = [];
        for (let at = 0, turn = 0; at < stream.length; turn++) {
          const size = cuts[turn % cuts.length]!;
          got.push(...read(reader, stream.slice(at, at + size)));
          at += size;
        }
        // A ping that was cut in two is a pong first.
        expect(got.filter((one) => one !== 'pong')).toEqual(
          given.map((one) => (one === '\r\n\r\n' ? 'ping' : one)),
        );
        expect(reader.midMessage).toBe(false);
      }),
      { numRuns: 300 },
    );
  });

  it.each<[string, string, string[]]>([
    ['a pong', '\r\n', ['pong']],
    ['two pings', '\r\n\r\n\r\n\r\n', ['ping', 'ping']],
    ['the compact form', 'BYE sip:a SIP/2.0\r\nl: 2\r\n\r\nxy', ['BYE sip:a SIP/2.0\r\nl: 2\r\n\r\nxy']],
    [
      'a folded Content-Length',
      'BYE sip:a SIP/2.0\r\nContent-Length :\r\n 2\r\n\r\nxy',
      ['BYE sip:a SIP/2.0\r\nContent-Length :\r\n 2\r\n\r\nxy'],
    ],
    ['lines that end in LF alone', 'BYE sip:a SIP/2.0\nL: 0\n\n', ['BYE sip:a SIP/2.0\nL: 0\n\n']],
    [
      'a header folded with what looks like another',
      'BYE sip:a SIP/2.0\r\nSubject: x\r\n Content-Length: 9\r\nl: 0\r\n\r\n',
      ['BYE sip:a SIP/2.0\r\nSubject: x\r\n Content-Length: 9\r\nl: 0\r\n\r\n'],
    ],
  ])('are found by %s', (_what, stream, pieces) => {
    expect(read(new StreamReader(bounds), stream)).toEqual(pieces);
  });

  it.each<[string, string, number]>([
    ['no Content-Length', 'BYE sip:a SIP/2.0\r\nTo: x\r\n\r\n', 400],
    ['two Content-Lengths', 'BYE sip:a SIP/2.0\r\nl: 1\r\nContent-Length: 2\r\n\r\n', 400],
    ['a Content-Length that is no number', 'BYE sip:a SIP/2.0\r\nl: 1x\r\n\r\n', 400],
    ['another protocol', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', 400],
    ['a lonely CR', '\rBYE', 400],
    ['a body above the bound', 'BYE sip:a SIP/2.0\r\nl: 4000\r\n\r\n', 413],
    ['a head above the bound', `BYE sip:a SIP/2.0\r\nX: ${'y'.repeat(2_000)}`, 513],
  ])('end with %s', (_what, stream, status) => {
    const reader = new StreamReader(bounds);
    let broken: unknown;
    try {
      read(reader, stream);
    } catch (error) {
      broken = error;
    }
    expect(broken).toBeInstanceOf(StreamBroken);
    expect(broken).toMatchObject({ status });
  });

  it('cost what their bytes cost: a byte at a time is not quadratic', () => {
    const reader = new StreamReader({ headBytes: 70_000, messageBytes: 140_000 });
    const bytes = Buffer.from(message('z'.repeat(60_000), `X: ${'y'.repeat(60_000)}`));
    let copied = 0;
    const pieces: StreamPiece[] = [];
    for (const byte of bytes) {
      copied += 1;
      pieces.push(...reader.read(Buffer.of(byte)));
    }
    expect(copied).toBe(bytes.length);
    expect(pieces).toHaveLength(1);
  });
});
