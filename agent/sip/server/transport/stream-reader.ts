/**
 * Messages out of a stream: framed by Content-Length (RFC 3261 section 18.3), with the keep-alives of RFC 5626 section
 * 3.5.1 between them. Linear in what comes, however it is cut.
 */
export interface StreamBounds {
  /** Longest head, start line to empty line. */
  headBytes: number;
  messageBytes: number;
}

export type StreamPiece =
  | { kind: 'message'; bytes: Buffer }
  /** CRLF CRLF: the peer wants a CRLF back. */
  | { kind: 'ping' }
  /** A single CRLF: the answer to a ping of ours. */
  | { kind: 'pong' };

/** Where the next message would begin can no longer be told, or is too far away: the connection must be closed. */
export class StreamBroken extends Error {
  /** What its sender may be told, if enough of the head is there to say it to anybody. */
  readonly status: 400 | 413 | 513;
  /** The lines of the head that came whole. */
  readonly head: string;
  constructor(status: 400 | 413 | 513, why: string, head: string) {
    super(why);
    this.status = status;
    this.head = head;
  }
}

const cr = 0x0d;
const lf = 0x0a;
const space = 0x20;
const tab = 0x09;

export class StreamReader {
  readonly #bounds: StreamBounds;
  #bytes: Buffer = Buffer.alloc(0);
  /** Of `#bytes`, what is filled and not yet taken. */
  #from = 0;
  #to = 0;
  /** Whether the room behind `#to` is ours to write into. */
  #owned = false;
  /** Of the message at `#from`: where its next unread line begins, and its length once the head is read. */
  #line = 0;
  #length: number | undefined;
  #declared: string | undefined;
  /** Whether the header line read last was Content-Length, which a folded line would go on with. */
  #declaring = false;
  /** A CRLF was taken that may be the first half of a ping. */
  #half = false;

  constructor(bounds: StreamBounds) {
    this.#bounds = bounds;
  }

  /** Whether a message has begun and not ended. */
  get midMessage(): boolean {
    return this.#to > this.#from;
  }

  /** A message's bytes are good until the next piece is asked for. @throws StreamBroken after all before the trouble */
  *read(chunk: Buffer): Generator<StreamPiece> {
    this.#append(chunk);
    for (;;) {
      const piece = this.#next();
      if (!piece) break;
      yield piece;
    }
    if (this.#from === this.#to) this.#forget();
  }

  #append(chunk: Buffer): void {
    if (this.#from === this.#to) {
      this.#bytes = chunk;
      this.#from = 0;
      this.#to = chunk.length;
      this.#line = 0;
      this.#owned = false;
      return;
    }
    const waiting = this.#to - this.#from;
    const needed = waiting + chunk.length;
    if (!this.#owned || this.#to + chunk.length > this.#bytes.length) {
      const room = Buffer.allocUnsafe(Math.max(4_096, needed * 2));
      this.#bytes.copy(room, 0, this.#from, this.#to);
      this.#bytes = room;
      this.#line -= this.#from;
      this.#from = 0;
      this.#to = waiting;
      this.#owned = true;
    }
    chunk.copy(this.#bytes, this.#to);
    this.#to += chunk.length;
  }

  #forget(): void {
    this.#bytes = Buffer.alloc(0);
    this.#from = this.#to = this.#line = 0;
    this.#owned = false;
  }

  #next(): StreamPiece | undefined {
    if (this.#length === undefined) {
      const blank = this.#line === this.#from ? this.#blank() : undefined;
      if (blank) return blank;
      if (!this.#readHead()) return undefined;
    }
    const length = this.#length ?? 0;
    if (this.#to - this.#from < length) return undefined;
    const bytes = this.#bytes.subarray(this.#from, this.#from + length);
    this.#from += length;
    this.#line = this.#from;
    this.#length = this.#declared = undefined;
    this.#declaring = false;
    return { kind: 'message', bytes };
  }

  /** CRLFs where a message could begin. */
  #blank(): StreamPiece | undefined {
    if (this.#bytes[this.#from] !== cr || this.#to - this.#from < 2) {
      if (this.#to > this.#from && this.#bytes[this.#from] !== cr) this.#half = false;
      return undefined;
    }
    if (this.#bytes[this.#from + 1] !== lf) throw this.#broken(400, 'a CR where a message should begin');
    this.#from += 2;
    this.#line = this.#from;
    if (this.#half) {
      this.#half = false;
      return { kind: 'ping' };
    }
    this.#half = true;
    const more = this.#to - this.#from >= 2 && this.#bytes[this.#from] === cr;
    return more ? this.#blank() : { kind: 'pong' };
  }

  /** Reads lines until the empty one; true once the length of the whole message is known. */
  #readHead(): boolean {
    for (;;) {
      const end = this.#bytes.subarray(0, this.#to).indexOf(lf, this.#line);
      const head = (end < 0 ? this.#to : end + 1) - this.#from;
      if (head > this.#bounds.headBytes) throw this.#broken(513, 'a head that is too long');
      if (end < 0) return false;
      const from = this.#line;
      const stop = end > from && this.#bytes[end - 1] === cr ? end - 1 : end;
      this.#line = end + 1;
      if (stop > from) {
        this.#readLine(from, stop);
        continue;
      }
      this.#length = head + this.#bodyLength();
      if (this.#length > this.#bounds.messageBytes) throw this.#broken(413, 'a message that is too large');
      return true;
    }
  }

  #readLine(from: number, to: number): void {
    const first = this.#bytes[from];
    if (first === space || first === tab) {
      if (this.#declaring)
        this.#declared = `${this.#declared ?? ''}${this.#bytes.toString('latin1', from, to)}`;
      return;
    }
    this.#declaring = false;
    if (from === this.#from) {
      if (!this.#bytes.toString('latin1', from, to).toUpperCase().includes('SIP/'))
        throw this.#broken(400, 'a start line that is not SIP');
      return;
    }
    // Only c(ontent-length) and l.
    if (first !== 0x43 && first !== 0x63 && first !== 0x4c && first !== 0x6c) return;
    const colon = this.#bytes.subarray(from, to).indexOf(':');
    if (colon < 0) return;
    const name = this.#bytes
      .toString('latin1', from, from + colon)
      .trimEnd()
      .toLowerCase();
    if (name !== 'content-length' && name !== 'l') return;
    if (this.#declared !== undefined) throw this.#broken(400, 'more than one Content-Length');
    this.#declared = this.#bytes.toString('latin1', from + colon + 1, to);
    this.#declaring = true;
  }

  #bodyLength(): number {
    const declared = this.#declared?.trim();
    if (declared === undefined) throw this.#broken(400, 'no Content-Length, which streams need');
    if (!/^\d{1,9}$/u.test(declared)) throw this.#broken(400, 'Content-Length is no number');
    return Number(declared);
  }

  #broken(status: 400 | 413 | 513, why: string): StreamBroken {
    return new StreamBroken(status, why, this.#bytes.toString('latin1', this.#from, this.#line));
  }
}
