/** Reads exact amounts from a stream of chunks of any size; holds one chunk at a time. */
export class ByteQueue {
  readonly #source: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array(0);
  #at = 0;
  /** Bytes taken so far. */
  offset = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** The next `count` bytes if the chunk at hand holds them all; without copying. */
  takeNow(count: number): Uint8Array | undefined {
    if (this.#chunk.length - this.#at < count) return undefined;
    return this.#slice(count);
  }

  /** Between 1 and `max` bytes, or undefined at the end. */
  async takeSome(max: number): Promise<Uint8Array | undefined> {
    if (!(await this.#fill())) return undefined;
    return this.#slice(Math.min(max, this.#chunk.length - this.#at));
  }

  /** Exactly `count` bytes; fewer only at the end of the stream. */
  async take(count: number): Promise<Uint8Array> {
    const now = this.takeNow(count);
    if (now !== undefined) return now;
    const out = new Uint8Array(count);
    let filled = 0;
    while (filled < count) {
      const part = await this.takeSome(count - filled);
      if (part === undefined) return out.subarray(0, filled);
      out.set(part, filled);
      filled += part.length;
    }
    return out;
  }

  /** Passes over up to `count` bytes; returns how many there were. */
  async skip(count: number): Promise<number> {
    let left = count;
    while (left > 0) {
      const part = await this.takeSome(left);
      if (part === undefined) break;
      left -= part.length;
    }
    return count - left;
  }

  /** Tells the source that nothing more is wanted. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }

  async #fill(): Promise<boolean> {
    while (this.#at >= this.#chunk.length) {
      const next = await this.#source.next();
      if (next.done === true) return false;
      this.#chunk = next.value;
      this.#at = 0;
    }
    return true;
  }

  #slice(count: number): Uint8Array {
    const part = this.#chunk.subarray(this.#at, this.#at + count);
    this.#at += count;
    this.offset += count;
    return part;
  }
}
