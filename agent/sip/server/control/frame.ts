/** Frames of drachtio's control protocol: `<byte length>#<payload>`, nothing between them, split anywhere. */

/** Longest payload taken: drachtio-server itself loses what is above about 12 KiB. */
export const maxFrameBytes = 256 * 1_024;

/** What makes the connection unusable: whoever speaks like this is not drachtio-srf. */
export class FrameError extends Error {}

/** Puts chunks together to payloads (latin1 text, one character a byte). */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);
  /** What has come of a frame that is not whole, and how much of it is missing: put together once, not at each chunk. */
  #parts: Buffer[] = [];
  #missing = 0;

  /** @throws FrameError where the length is none, or above `maxFrameBytes` */
  *read(chunk: Buffer): Generator<string> {
    if (this.#missing > chunk.length) {
      this.#parts.push(chunk);
      this.#missing -= chunk.length;
      return;
    }
    let bytes = Buffer.concat([this.#rest, ...this.#parts, chunk]);
    this.#rest = Buffer.alloc(0);
    this.#parts = [];
    this.#missing = 0;
    for (;;) {
      const hash = bytes.subarray(0, 8).indexOf(0x23);
      if (hash < 0) {
        if (bytes.length >= 8 || !/^\d*$/u.test(bytes.toString('latin1')))
          throw new FrameError('a frame without length');
        break;
      }
      const digits = bytes.toString('latin1', 0, hash);
      const length = Number(digits);
      if (!/^\d{1,6}$/u.test(digits) || length === 0)
        throw new FrameError('a frame length that is no number');
      if (length > maxFrameBytes) throw new FrameError(`a frame of ${length} bytes`);
      const end = hash + 1 + length;
      if (bytes.length < end) {
        this.#missing = end - bytes.length;
        break;
      }
      yield bytes.toString('latin1', hash + 1, end);
      bytes = bytes.subarray(end);
    }
    this.#rest = bytes;
  }
}

/** @param payload latin1 text, one character a byte */
export function frame(payload: string): string {
  return `${payload.length}#${payload}`;
}
