/**
 * Batches of many forks on their way from a worker to the main thread, in one message: a message costs more than the
 * copies of fifty calls. For each batch the fork's number and the batch's length (32 bits each, little-endian), the batch.
 */
const headerBytes = 8;
const firstCapacity = 64 * 1024;

export class ParcelWriter {
  #bytes = new Uint8Array(firstCapacity);
  #view = new DataView(this.#bytes.buffer);
  #used = 0;

  get size(): number {
    return this.#used;
  }

  add(fork: number, batch: Uint8Array): void {
    const end = this.#used + headerBytes + batch.length;
    if (end > this.#bytes.length) this.#grow(end);
    this.#view.setUint32(this.#used, fork, true);
    this.#view.setUint32(this.#used + 4, batch.length, true);
    this.#bytes.set(batch, this.#used + headerBytes);
    this.#used = end;
  }

  /** What was added, in memory of its own (it can be transferred); the writer is empty again. */
  take(): Uint8Array<ArrayBuffer> {
    const parcel = this.#bytes.slice(0, this.#used);
    this.#used = 0;
    return parcel;
  }

  #grow(needed: number): void {
    const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    larger.set(this.#bytes.subarray(0, this.#used));
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}

/** Hands out the batches of a parcel in the order of writing; they share its memory. */
export function unpack(parcel: Uint8Array, each: (fork: number, batch: Uint8Array) => void): void {
  const view = new DataView(parcel.buffer, parcel.byteOffset, parcel.byteLength);
  for (let at = 0; at < parcel.length;) {
    const start = at + headerBytes;
    const end = start + view.getUint32(at + 4, true);
    each(view.getUint32(at, true), parcel.subarray(start, end));
    at = end;
  }
}
