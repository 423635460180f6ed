import type { CpioReader, StrippedFile, TarEntry } from '../archive/index.ts';
import { err, failure, type Result } from '../base/index.ts';
import type { ArchiveReader } from './tree-writer.ts';

/** Type bits of `st_mode` (inode(7)). */
const TYPE = 0o170000;
const TYPES: Readonly<Record<string, number>> = {
  file: 0o100000,
  dir: 0o040000,
  symlink: 0o120000,
  char: 0o020000,
  block: 0o060000,
  fifo: 0o010000,
  hardlink: 0o100000,
};

/**
 * The payload of a package as far as it agrees with the signed header: an entry that the header does not name, or names as
 * something else, ends it. PK044.
 */
export class PayloadReader implements ArchiveReader {
  readonly #cpio: CpioReader;
  readonly #files: ReadonlyMap<string, StrippedFile>;
  readonly #name: string;

  constructor(cpio: CpioReader, files: readonly StrippedFile[], name: string) {
    this.#cpio = cpio;
    this.#files = new Map(files.map((file) => [clean(file.name), file]));
    this.#name = name;
  }

  async next(): Promise<Result<TarEntry | undefined>> {
    const next = await this.#cpio.next();
    if (!next.ok || next.value === undefined) return next;
    const { name, size, type } = next.value;
    const file = this.#files.get(clean(name));
    const fault =
      file === undefined
        ? 'which its header does not name'
        : (file.mode & TYPE) !== TYPES[type]
          ? `as ${type}, which its header names as something else`
          : type === 'file' && size !== file.size
            ? `with ${size} bytes, where its header says ${file.size}`
            : undefined;
    if (fault === undefined) return next;
    const shown = JSON.stringify(name.slice(0, 200));
    return err(failure('PK044', 3, `${this.#name}: its payload has ${shown}, ${fault}`));
  }

  dataNow(): Uint8Array | undefined {
    return this.#cpio.dataNow();
  }

  data(): AsyncIterable<Uint8Array> {
    return this.#cpio.data();
  }

  async close(): Promise<void> {
    await this.#cpio.close();
  }
}

/** Names in a payload begin with `./`, `/` or neither. */
const clean = (name: string): string => `/${name.replace(/^\.?\/+/, '')}`;
