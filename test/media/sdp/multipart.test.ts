import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sdpIn, withSdp } from '../../../media/sdp/multipart.ts';

const sdp = 'v=0\r\ns=-\r\nm=audio 4000 RTP/AVP 8\r\n';
const isup = '\u0001\u0000I\u00ff--b IAM';
const part = (headers: string, content: string): string => `--b\r\n${headers}\r\n${content}\r\n`;

const bodies: [name: string, type: string | undefined, text: string, expected: string | undefined][] = [
  ['plain SDP', 'application/sdp', sdp, sdp],
  ['SDP without a type', undefined, sdp, sdp],
  ['a type in other case with parameters', 'Application/SDP ; x=y', sdp, sdp],
  ['nothing', 'application/sdp', '', undefined],
  ['something else', 'application/isup', isup, undefined],
  [
    'SDP before ISUP',
    'multipart/mixed;boundary=b',
    `${part('Content-Type: application/sdp\r\n', sdp)}${part('Content-Type: application/isup\r\n', isup)}--b--\r\n`,
    sdp,
  ],
  [
    'SDP after a part without headers, the boundary in quotes, a preamble',
    'multipart/mixed; x=1; Boundary="b"',
    `preamble\r\n${part('', 'text')}${part('content-type:application/sdp\r\nContent-ID: <x>\r\n', sdp)}--b--\r\nepilogue`,
    sdp,
  ],
  [
    'no SDP among the parts',
    'multipart/mixed;boundary=b',
    `${part('Content-Type: text/plain\r\n', 'x')}--b--`,
    undefined,
  ],
  ['no boundary', 'multipart/mixed', part('Content-Type: application/sdp\r\n', sdp), undefined],
  ['a boundary that is not there', 'multipart/mixed;boundary=c', part('', sdp), undefined],
];

test.each(bodies)('the session description in %s', (_name, type, text, expected) => {
  expect(sdpIn({ text, type })).toBe(expected);
});

test('another description takes its place and nothing else changes', () => {
  const text = `${part('Content-Type: application/sdp\r\n', sdp)}${part('Content-Type: application/isup\r\n', isup)}--b--\r\n`;
  const type = 'multipart/mixed;boundary=b';
  const changed = withSdp({ text, type }, 'v=0\r\n');
  expect(changed.type).toBe(type);
  expect(changed.text).toBe(text.replace(sdp, 'v=0\r\n'));
  expect(withSdp({ text: sdp, type: undefined }, 'v=0\r\n')).toEqual({
    text: 'v=0\r\n',
    type: 'application/sdp',
  });
});

test('for any text in a multipart body: it ends, and what is found stands in it', () => {
  const pieces = fc.constantFrom(
    '--b',
    '--b--',
    '\r\n',
    '\r\n\r\n',
    'Content-Type: application/sdp',
    'v=0',
    '-',
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 30 }), (parts) => {
      const text = parts.join('');
      const found = sdpIn({ text, type: 'multipart/mixed;boundary=b' });
      if (found !== undefined) expect(text).toContain(found);
    }),
  );
});
