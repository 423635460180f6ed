/** Lines of a failed step that are shown. */
const LINES = 20;
/** The most bytes kept for them. */
const LIMIT = 64 * 1024;

/** Keeps the end of a step's output. */
export class OutputTail {
  readonly #chunks: Uint8Array[] = [];
  #size = 0;

  add(data: Uint8Array): void {
    // The caller's buffer may be used again.
    const chunk = Uint8Array.from(data.subarray(Math.max(0, data.length - LIMIT)));
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    for (let first = this.#chunks[0]; first !== undefined; first = this.#chunks[0]) {
      if (this.#size - first.length < LIMIT) break;
      this.#chunks.shift();
      this.#size -= first.length;
    }
  }

  /** The last lines, without their line ends. */
  lines(): string[] {
    const text = Buffer.concat(this.#chunks).toString('utf8').replace(/\n$/, '');
    return text === ''
      ? []
      : text
          .split('\n')
          .slice(-LINES)
          .map((line) => line.replace(/\r$/, ''));
  }
}
