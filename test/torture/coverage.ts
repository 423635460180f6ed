/** What attempts have gone through: the next one goes where few were, also in another run. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import type { Random } from './random.ts';

/** So many tries count as much as one fault: what is never reached does not come first for ever. */
const MISSES = 3;

/** Tries and faults of each part, by name; with a file, those of earlier runs too. */
export class Coverage {
  readonly #tries = new Map<string, number>();
  readonly #hits = new Set<string>();
  readonly #file: string | undefined;

  /** The file has a line for each fault: the part, a tab, the name. It is made when it is missing. */
  constructor(file?: string) {
    this.#file = file;
    if (file === undefined || !existsSync(file)) return;
    for (const line of readFileSync(file, 'utf8').split('\n')) {
      if (line === '') continue;
      this.#tries.set(line, (this.#tries.get(line) ?? 0) + 1);
      this.#hits.add(line);
    }
  }

  /** One of the names that the fewest faults and tries were at; it counts as tried. */
  next(part: string, names: readonly string[], random: Random): string {
    const ranks = names.map((name) => this.#rank(`${part}\t${name}`));
    const least = Math.min(...ranks);
    const chosen = random.of(names.filter((_, i) => ranks[i] === least));
    const key = `${part}\t${chosen}`;
    this.#tries.set(key, (this.#tries.get(key) ?? 0) + 1);
    return chosen;
  }

  /** Notes that a fault happened there. */
  hit(part: string, name: string): void {
    const key = `${part}\t${name}`;
    this.#hits.add(key);
    if (this.#file !== undefined) appendFileSync(this.#file, `${key}\n`);
  }

  has(part: string, name: string): boolean {
    return this.#hits.has(`${part}\t${name}`);
  }

  #rank(key: string): number {
    return (this.#tries.get(key) ?? 0) + (this.#hits.has(key) ? MISSES : 0);
  }
}
