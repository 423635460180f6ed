import { closeSync, ftruncateSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeAllSync } from '../base/index.ts';
import type { PackedEntry } from '../ports/index.ts';
import { ALIGNMENT } from './pack-data.ts';
import { indexOf, namesByDir } from './pack-rows.ts';
import { PackSources } from './pack-sources.ts';
import { readFile } from './read-file.ts';

/** The tar of a layer that is written as the data of a packed one while it is read. */
export class KeptTar implements Disposable {
  readonly #dir: string;
  #fd: number | undefined;
  #size = 0;

  /** `dir` is made. */
  constructor(dir: string) {
    this.#dir = dir;
    mkdirSync(dir);
    this.#fd = openSync(this.path, 'wx', 0o600);
  }

  get path(): string {
    return join(this.#dir, 'data');
  }

  /** Writes what goes through. */
  async *keep(tar: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of tar) {
      if (this.#fd === undefined) throw new Error('the tar is finished');
      writeAllSync(this.#fd, chunk);
      this.#size += chunk.length;
      yield chunk;
    }
  }

  /** Makes a packed layer of the tar and its entries. */
  finish(entries: ReadonlyMap<string, PackedEntry>): void {
    const size = Math.ceil(this.#size / ALIGNMENT) * ALIGNMENT;
    if (this.#fd !== undefined) ftruncateSync(this.#fd, size);
    this[Symbol.dispose]();
    const compared = { same: new Set<string>(), deleted: new Set<string>() };
    const data = { size, sources: new PackSources() };
    const bytes = indexOf({ entries, names: namesByDir(entries), compared, data });
    writeFileSync(join(this.#dir, 'entries'), bytes, { flag: 'wx', mode: 0o600 });
  }

  /** Reads the tar again. */
  read(signal: AbortSignal): AsyncIterable<Uint8Array> {
    return readFile(this.path, signal);
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}
