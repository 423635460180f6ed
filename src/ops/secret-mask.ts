/** Shorter lines of a secret (`{`, `yes`) are too common in ordinary output to be hidden. */
const SHORTEST = 4;
const MASK = Buffer.from('****');

/**
 * Hides the values of secrets in a stream of output: each line of a secret that has at least four bytes becomes `****`,
 * also where it is cut into pieces. What could be the beginning of one is held back until more comes.
 */
export class SecretMask {
  readonly #needles: readonly Buffer[];
  #held: Buffer = Buffer.alloc(0);

  constructor(secrets: readonly Uint8Array[]) {
    this.#needles = needlesOf(secrets);
  }

  /** The part of the output so far that can be shown. */
  push(data: Uint8Array): Uint8Array {
    if (this.#needles.length === 0) return data;
    const all = this.#held.length === 0 ? Buffer.from(data) : Buffer.concat([this.#held, data]);
    const shown: Uint8Array[] = [];
    for (let at = 0; ; ) {
      const cut = this.#firstBeginning(all, at);
      const match = this.#firstMatch(all, at);
      if (match !== undefined && match.at < cut) {
        shown.push(all.subarray(at, match.at), MASK);
        at = match.at + match.length;
        continue;
      }
      shown.push(all.subarray(at, cut));
      this.#held = all.subarray(cut);
      return Buffer.concat(shown);
    }
  }

  /** What was held back when the output has ended. */
  end(): Uint8Array {
    const rest = this.#held;
    this.#held = Buffer.alloc(0);
    // A whole short secret may stand where a longer one could have begun.
    const match = this.#firstMatch(rest, 0);
    if (match === undefined) return rest;
    const behind = rest.subarray(match.at + match.length);
    this.#held = behind;
    return Buffer.concat([rest.subarray(0, match.at), MASK, this.end()]);
  }

  /** The earliest whole secret, of several there the longest. */
  #firstMatch(
    all: Buffer,
    from: number,
  ): { readonly at: number; readonly length: number } | undefined {
    let best: { readonly at: number; readonly length: number } | undefined;
    for (const needle of this.#needles) {
      const at = all.indexOf(needle, from);
      if (at === -1) continue;
      if (best === undefined || at < best.at || (at === best.at && needle.length > best.length))
        best = { at, length: needle.length };
    }
    return best;
  }

  /** The earliest place from which all bytes to the end are the beginning of a secret, or the end. */
  #firstBeginning(all: Buffer, from: number): number {
    let first = all.length;
    for (const needle of this.#needles) {
      // The needles have bytes: the first one exists.
      const lead = needle[0] ?? 0;
      let at = all.indexOf(lead, Math.max(from, all.length - needle.length + 1));
      for (; at !== -1 && at < first; at = all.indexOf(lead, at + 1)) {
        const length = all.length - at;
        if (needle.compare(all, at, all.length, 0, length) === 0) first = at;
      }
    }
    return first;
  }
}

function needlesOf(secrets: readonly Uint8Array[]): Buffer[] {
  const lines = secrets.flatMap((secret) =>
    Buffer.from(secret)
      .toString('latin1')
      .split(/[\r\n]+/)
      .map((line) => line.trim())
      .filter((line) => line.length >= SHORTEST),
  );
  return [...new Set(lines)].map((line) => Buffer.from(line, 'latin1'));
}
