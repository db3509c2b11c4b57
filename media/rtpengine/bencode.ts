/**
 * Bencode as rtpengine's NG protocol uses it: integers, strings of bytes, lists, dictionaries with keys in any order.
 */
import { TacetError } from '../../config/errors.ts';

export type BencodeValue = number | string | readonly BencodeValue[] | BencodeDictionary;
export interface BencodeDictionary {
  readonly [key: string]: BencodeValue;
}

/** What claims to be bencode is none: cut short, too deep, or with bytes where none belong. */
export class BencodeMalformed extends TacetError {
  readonly position: number;
  constructor(position: number, detail: string) {
    super(`bencode is malformed at byte ${position}: ${detail}`);
    this.position = position;
  }
}

/** Deeper than any reply of rtpengine (a query nests eight levels), and far from the end of the stack. */
const deepest = 64;

/** Strings count in bytes of UTF-8; numbers must be safe integers. */
export function encodeBencode(value: BencodeValue): string {
  if (typeof value === 'number') return `i${value}e`;
  if (typeof value === 'string') return `${Buffer.byteLength(value)}:${value}`;
  if (isList(value)) return `l${value.map(encodeBencode).join('')}e`;
  const entries = Object.entries(value).map(([key, each]) => encodeBencode(key) + encodeBencode(each));
  return `d${entries.join('')}e`;
}

/**
 * Reads exactly one value; strings as UTF-8. Dictionaries have no prototype, so that no key means more than itself.
 *
 * @throws BencodeMalformed
 */
export function decodeBencode(bytes: Uint8Array): BencodeValue {
  const reader = new Reader(bytes);
  const value = reader.value(0);
  reader.end();
  return value;
}

function isList(value: BencodeValue): value is readonly BencodeValue[] {
  return Array.isArray(value);
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  value(depth: number): BencodeValue {
    if (depth > deepest) throw new BencodeMalformed(this.#at, `more than ${deepest} levels`);
    if (this.#takes('i')) return this.#number('e', /^(0|-?[1-9]\d*)$/u);
    if (this.#takes('l')) {
      const list: BencodeValue[] = [];
      while (!this.#takes('e')) list.push(this.value(depth + 1));
      return list;
    }
    if (this.#takes('d')) {
      const dictionary = Object.create(null) as Record<string, BencodeValue>;
      while (!this.#takes('e')) {
        const key = this.#string();
        dictionary[key] = this.value(depth + 1);
      }
      return dictionary;
    }
    return this.#string();
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw new BencodeMalformed(this.#at, 'bytes after its end');
  }

  #takes(character: string): boolean {
    if (this.#at >= this.#bytes.length) throw new BencodeMalformed(this.#at, 'it is cut short');
    if (this.#bytes[this.#at] !== character.charCodeAt(0)) return false;
    this.#at += 1;
    return true;
  }

  #string(): string {
    const length = this.#number(':', /^(0|[1-9]\d*)$/u);
    const end = this.#at + length;
    if (end > this.#bytes.length)
      throw new BencodeMalformed(this.#at, `a string of ${length} bytes is cut short`);
    const text = this.#bytes.toString('utf8', this.#at, end);
    this.#at = end;
    return text;
  }

  #number(terminator: string, form: RegExp): number {
    const end = this.#bytes.indexOf(terminator, this.#at, 'latin1');
    const digits = end === -1 || end - this.#at > 20 ? '' : this.#bytes.toString('latin1', this.#at, end);
    const number = Number(digits);
    if (!form.test(digits) || !Number.isSafeInteger(number))
      throw new BencodeMalformed(this.#at, `no number before "${terminator}"`);
    this.#at = end + 1;
    return number;
  }
}
