import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  headerOf,
  limits,
  listOf,
  parseMessage,
  stampVia,
  textOf,
} from '../../../../agent/sip/server/message.ts';
import type { SipRequest } from '../../../../agent/sip/server/message.ts';

const invite = [
  'INVITE sip:200@192.0.2.1 SIP/2.0',
  'Via: SIP/2.0/UDP 192.0.2.2:5070;branch=z9hG4bKa;rport',
  'Max-Forwards: 70',
  'From: "Ann, B" <sip:ann@192.0.2.2>;tag=1',
  'To: <sip:200@192.0.2.1>',
  'Call-ID: one@192.0.2.2',
  'CSeq: 1 INVITE',
  'Contact: <sip:ann@192.0.2.2:5070>',
  'Content-Type: application/sdp',
  'Content-Length: 5',
  '',
  'v=0\r\n',
].join('\r\n');

const ok = ['SIP/2.0 200 OK', ...invite.split('\r\n').slice(1)].join('\r\n');

/** The message with one line replaced, added or taken away. */
function changed(from: RegExp, to: string): string {
  expect(invite).toMatch(from);
  return invite.replace(from, to);
}

function read(text: string): SipRequest {
  const parsed = parseMessage(Buffer.from(text, 'latin1'));
  if (!parsed.ok) throw new Error(parsed.why);
  return parsed.message as SipRequest;
}

describe('generous about style', () => {
  it('expands compact forms', () => {
    const compact = invite
      .replace('Via:', 'v:')
      .replace('From:', 'f:')
      .replace('To:', 't:')
      .replace('Call-ID:', 'I:')
      .replace('Contact:', 'm:')
      .replace('Content-Type:', 'c:')
      .replace('Content-Length:', 'l:');
    expect(textOf(read(compact))).toBe(textOf(read(invite)));
    expect(listOf(read(invite.replace('Max-Forwards: 70', 'x: 90\r\nr: <sip:a@b>')), 'refer-to')).toEqual([
      '<sip:a@b>',
    ]);
  });

  it('unfolds headers', () => {
    const folded = read(changed(/Max-Forwards: 70/u, 'Max-Forwards: 70\r\nSubject: one\r\n  two\r\n\tthree'));
    expect(headerOf(folded, 'subject')).toBe('one two three');
  });

  it.each([
    ['LF alone', invite.replaceAll('\r\n', '\n').replace('Content-Length: 5', 'Content-Length: 4')],
    ['names in capitals', invite.replace(/^[A-Z][\w-]*:/gmu, (name) => name.toUpperCase())],
    ['spaces before the colon', invite.replaceAll(/^([\w-]+):/gmu, '$1 \t:')],
    ['empty lines before the start line', `\r\n\r\n${invite}`],
    [
      'spaces within Via',
      invite.replace('SIP/2.0/UDP 192.0.2.2:5070;', 'SIP / 2.0 / UDP   192.0.2.2 : 5070 ; '),
    ],
    ['no Content-Length', invite.replace('Content-Length: 5\r\n', '')],
    ['bytes after the body', `${invite}trash`],
  ])('reads %s', (_name, text) => {
    const message = read(text);
    expect(message).toMatchObject({ method: 'INVITE', callId: 'one@192.0.2.2', cseq: 1 });
    expect(message.via).toMatchObject({ transport: 'UDP', host: '192.0.2.2', port: 5_070 });
    expect(message.body.trim()).toBe('v=0');
  });

  it('keeps several copies of a header, and comma lists, in their order', () => {
    const routed = read(
      changed(/Max-Forwards: 70/u, 'Record-Route: <sip:a;lr>, "x,y" <sip:b;lr>\r\nrecord-route: <sip:c;lr>'),
    );
    expect(listOf(routed, 'record-route')).toEqual(['<sip:a;lr>', '"x,y" <sip:b;lr>', '<sip:c;lr>']);
  });

  it('gives back every byte that it was given', () => {
    const name = Buffer.from('Zoë 🎧').toString('latin1');
    const message = read(changed(/"Ann, B"/u, `"${name}"`));
    expect(textOf(message)).toContain(name);
    expect(textOf(message)).toBe(changed(/"Ann, B"/u, `"${name}"`));
  });

  it('reads what RFC 4475 calls tortuous but valid', () => {
    const text = invite
      .replace(
        'To: <sip:200@192.0.2.1>',
        'TO :\r\n sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n',
      )
      .replace(
        'From: "Ann, B" <sip:ann@192.0.2.2>;tag=1',
        'from   : "J Rosenberg \\\\\\""       <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8',
      )
      .replace('CSeq: 1 INVITE', 'cseq: 0009\r\n  INVITE');
    const message = read(text);
    expect(message.from.uri).toBe('sip:jdrosen@example.com');
    expect(message.from.params.get('tag')).toBe('98asjd8');
    expect(message.to.params.get('tag')).toBe('1918181833n');
    expect(message.cseq).toBe(9);
  });
});

describe('strict about structure', () => {
  it.each<[string, string, 400 | 505 | undefined]>([
    ['a body shorter than its Content-Length', changed(/Content-Length: 5/u, 'Content-Length: 50'), 400],
    ['a Content-Length that is no number', changed(/Content-Length: 5/u, 'Content-Length: five'), 400],
    ['two Content-Lengths', changed(/Content-Length: 5/u, 'Content-Length: 5\r\nContent-Length: 5'), 400],
    ['two To', changed(/CSeq/u, 'To: <sip:other@b>\r\nCSeq'), 400],
    ['another method in CSeq', changed(/1 INVITE/u, '1 BYE'), 400],
    ['a CSeq above 2**32', changed(/CSeq: 1/u, 'CSeq: 4294967296'), 400],
    ['a CSeq that is no number', changed(/CSeq: 1/u, 'CSeq: x'), 400],
    ['a Max-Forwards that is no number', changed(/: 70/u, ': seventy'), 400],
    ['a Request-URI in brackets', changed(/sip:200@192.0.2.1 SIP/u, '<sip:200@192.0.2.1> SIP'), 400],
    ['a To without URI', changed(/<sip:200@192.0.2.1>/u, '<>'), 400],
    ['a From with an open quote', changed(/"Ann, B"/u, '"Ann'), 400],
    ['a Call-ID that would end a field of the control protocol', changed(/one@/u, 'one|two@'), 400],
    ['another version', changed(/SIP\/2\.0\r/u, 'SIP/7.0\r'), 505],
    ['no CSeq', changed(/CSeq: 1 INVITE\r\n/u, ''), undefined],
    ['no Via', changed(/Via:.*\r\n/u, ''), undefined],
    ['a Via of nowhere', changed(/192.0.2.2:5070;branch/u, ';branch'), undefined],
    ['a header without colon', changed(/Max-Forwards: 70/u, 'Max-Forwards'), undefined],
    ['a header name with a space', changed(/Max-Forwards/u, 'Max Forwards'), undefined],
    ['a bare CR in a header', changed(/Max-Forwards: 70/u, 'Subject: a\rEvil: b'), undefined],
    ['a NUL in a header', changed(/Max-Forwards: 70/u, 'Subject: a\0b'), undefined],
    ['no empty line', invite.slice(0, invite.indexOf('\r\n\r\n')), undefined],
    ['a start line of one word', changed(/INVITE sip:200@192.0.2.1 SIP\/2.0/u, 'INVITE'), undefined],
    ['a status of two digits', ok.replace('200 OK', '20 OK'), undefined],
    ['a response with trouble', ok.replace('Content-Length: 5', 'Content-Length: 50'), undefined],
    ['an ACK with trouble', invite.replaceAll('INVITE', 'ACK').replace('Length: 5', 'Length: 50'), undefined],
    ['nothing', '', undefined],
  ])('refuses %s', (_what, text, status) => {
    const parsed = parseMessage(Buffer.from(text, 'latin1'));
    expect(parsed).toMatchObject({ ok: false });
    if (!parsed.ok) expect(parsed.answer?.status).toBe(status);
  });

  it('refuses more than it wants to hold', () => {
    const many = `${'X-Filler: y\r\n'.repeat(limits.headers)}Max-Forwards: 70`;
    const long = `Subject: ${'x'.repeat(limits.headerBytes)}`;
    const folded = `Subject: x${`\r\n ${'y'.repeat(1_000)}`.repeat(20)}`;
    for (const bulk of [many, long, folded]) {
      expect(parseMessage(Buffer.from(changed(/Max-Forwards: 70/u, bulk))).ok).toBe(false);
    }
    expect(parseMessage(Buffer.alloc(limits.messageBytes + 1, 'a')).ok).toBe(false);
  });
});

describe('the top Via tells where the request came from', () => {
  it.each([
    [
      'rport asked for',
      'SIP/2.0/UDP 192.0.2.2:5070;branch=z9hG4bKa;rport',
      ';branch=z9hG4bKa;rport=6000;received=192.0.2.9',
    ],
    [
      'another address',
      'SIP/2.0/UDP host.example;branch=z9hG4bKa',
      'host.example;branch=z9hG4bKa;received=192.0.2.9',
    ],
    ['the same address', 'SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKa', '192.0.2.9;branch=z9hG4bKa'],
    [
      'a list',
      'SIP/2.0/UDP a;branch=z9hG4bKa, SIP/2.0/UDP b;branch=z9hG4bKb',
      'received=192.0.2.9, SIP/2.0/UDP b;branch=z9hG4bKb',
    ],
  ])('%s', (_what, via, expected) => {
    const message = read(changed(/Via: .*(?=\r\nMax)/u, `Via: ${via}`));
    stampVia(message, { address: '192.0.2.9', port: 6_000 });
    expect(headerOf(message, 'via')).toContain(expected);
  });
});

describe('whatever comes', () => {
  const bytes = Buffer.from(invite, 'latin1');
  /** A real message, cut, overwritten, doubled and with pieces of SIP thrown in. */
  const mutated = fc
    .array(
      fc.oneof(
        fc.record({ at: fc.nat(bytes.length), put: fc.uint8Array({ maxLength: 6 }) }),
        fc.record({
          at: fc.nat(bytes.length),
          put: fc
            .constantFrom(
              '\r\n',
              '\n ',
              ':',
              ';',
              ',',
              '"',
              '<',
              '>',
              '\\',
              '\0',
              '\r',
              '=',
              '[',
              ']',
              '@',
              'SIP/2.0',
              '%00',
              'é',
            )
            .map((text) => Buffer.from(text)),
        }),
      ),
      { minLength: 1, maxLength: 8 },
    )
    .map((edits) => {
      let text = bytes.toString('latin1');
      for (const { at, put } of edits) {
        const piece = Buffer.from(put).toString('latin1');
        text =
          at % 2 === 0
            ? text.slice(0, at) + piece + text.slice(at)
            : text.slice(0, at) + piece + text.slice(at + piece.length);
      }
      return Buffer.from(text, 'latin1');
    });

  it('is a message or a refusal, never an exception; what was read can be read again', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          mutated,
          fc.uint8Array({ maxLength: 400 }).map((given) => Buffer.from(given)),
        ),
        (datagram) => {
          const parsed = parseMessage(datagram);
          if (!parsed.ok) return;
          const again = parseMessage(Buffer.from(textOf(parsed.message), 'latin1'));
          expect(again.ok).toBe(true);
          if (again.ok) expect(textOf(again.message)).toBe(textOf(parsed.message));
        },
      ),
      { numRuns: 3_000 },
    );
  });

  it('is read in time that grows with its length, not faster', () => {
    const hostile = ['"', '<', ' ', ',', ';a', '\\', '\r\n ', 'a '].map((piece) =>
      changed(/"Ann, B"/u, piece.repeat(Math.floor(limits.headerBytes / piece.length / 2))),
    );
    for (const text of hostile) {
      const parsed = parseMessage(Buffer.from(text, 'latin1'));
      expect(typeof parsed.ok).toBe('boolean');
    }
  }, 2_000);
});
