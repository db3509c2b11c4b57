import { expect, test } from 'vitest';
import { keyInInfo } from '../../../media/dtmf/info.ts';

test.each<[type: string | undefined, body: string | undefined, key: string | undefined]>([
  ['application/dtmf-relay', 'Signal=5\r\nDuration=160\r\n', '5'],
  ['application/dtmf-relay', 'Signal= 5\r\nDuration= 160', '5'],
  ['application/dtmf-relay', 'Duration=160\r\nsignal=*\r\n', '*'],
  ['application/dtmf-relay', 'Signal=#\n', '#'],
  ['application/dtmf-relay', 'Signal=10\r\n', '*'],
  ['application/dtmf-relay', 'Signal=11\r\n', '#'],
  ['application/dtmf-relay', 'Signal=d\r\n', 'D'],
  ['application/dtmf-relay', 'Signal=16\r\n', undefined],
  ['application/dtmf-relay', 'Duration=160\r\n', undefined],
  ['application/dtmf', '7', '7'],
  ['Application/DTMF; charset=x', ' 7\r\n', '7'],
  ['application/dtmf', '77', undefined],
  ['application/dtmf', '', undefined],
  ['text/plain', '7', undefined],
  [undefined, '7', undefined],
  ['application/dtmf', undefined, undefined],
])('an INFO of %s saying %j is key %s', (type, body, key) => {
  expect(keyInInfo(type, body)).toBe(key);
});
