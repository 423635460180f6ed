import {
  chmodSync,
  closeSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  rmSync,
  type Stats,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import type { TarEntry } from '../archive/index.ts';
import {
  err,
  FailureError,
  failure,
  fsPath,
  isErrno,
  ok,
  type Result,
  resolveInRoot,
} from '../base/index.ts';
import { makeNode, setTimes, setXattr } from '../sys/index.ts';

/** What one package may unpack to. */
const MAX_BYTES = 64 * 1024 ** 3;
const MAX_ENTRIES = 2_000_000;

/** An archive read entry by entry (`TarReader`, `CpioReader`). */
export interface ArchiveReader {
  next(): Promise<Result<TarEntry | undefined>>;
  dataNow(): Uint8Array | undefined;
  data(): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

/**
 * Writes the entries of a package's archive below `root`, which no other process may write to meanwhile. Paths stay inside:
 * links in the way are followed as by a process whose root it is. A directory that exists, or a link to one, stays what it is;
 * anything else is replaced. PK042: an entry that a package must not have.
 */
export async function writeArchive(
  reader: ArchiveReader,
  to: { readonly root: string; readonly name: string },
  signal: AbortSignal,
): Promise<Result<void>> {
  const target = new Root(to.root, to.name);
  try {
    let bytes = 0;
    for (let count = 0; ; count++) {
      signal.throwIfAborted();
      const next = await reader.next();
      if (!next.ok) return next;
      if (next.value === undefined) break;
      bytes += next.value.size;
      if (bytes > MAX_BYTES || count > MAX_ENTRIES)
        return err(failure('PK042', 3, `${to.name} unpacks to more than a package may hold`));
      await target.write(next.value, reader);
    }
    target.finish();
    return ok(undefined);
  } catch (e) {
    if (e instanceof FailureError) return err(e.failure);
    throw e;
  } finally {
    await reader.close();
  }
}

class Root {
  readonly #root: string;
  readonly #name: string;
  /** Directories get their times at the end, when nothing is written into them any more. */
  readonly #dirTimes = new Map<string, bigint>();

  constructor(root: string, name: string) {
    this.#root = root;
    this.#name = name;
  }

  async write(entry: TarEntry, reader: ArchiveReader): Promise<void> {
    const path = this.#clean(entry.name);
    try {
      await this.#writeAt(path, entry, reader);
    } catch (e) {
      if (
        !isErrno(
          e,
          'ENOTDIR',
          'EEXIST',
          'ENOENT',
          'EPERM',
          'ENAMETOOLONG',
          'ENOTSUP',
          'EINVAL',
          'E2BIG',
          'ERANGE',
        )
      )
        throw e;
      throw this.#refuse(entry.name, `cannot be written (${e.code ?? ''})`);
    }
  }

  async #writeAt(path: string, entry: TarEntry, reader: ArchiveReader): Promise<void> {
    if (path === '/') {
      this.#dirMetadata(entry, '/');
      return;
    }
    const at = this.#place(path);
    if (entry.type === 'dir') {
      this.#makeDir(entry, at);
      return;
    }
    const disk = this.#disk(at);
    this.#clear(at);
    if (entry.type === 'char' && entry.device?.major === 0 && entry.device.minor === 0)
      throw this.#refuse(entry.name, 'is a character device 0:0, which deletes in a layer');
    switch (entry.type) {
      case 'file':
        await writeData(disk, reader);
        break;
      case 'symlink':
        symlinkSync(Buffer.from(fsPath(entry.link ?? '')), disk);
        break;
      case 'hardlink':
        linkSync(this.#disk(this.#place(this.#clean(entry.link ?? ''))), disk);
        return;
      default:
        makeNode(this.#root + at, { type: entry.type, mode: entry.mode, ...entry.device });
    }
    this.#metadata(entry, at);
  }

  finish(): void {
    for (const [path, mtimeNs] of this.#dirTimes)
      setTimes(this.#root + path, { atimeNs: mtimeNs, mtimeNs });
  }

  /** Where an entry goes: its parents' links are followed, its own is not. Missing parents are made. */
  #place(path: string): string {
    const at = resolveInRoot(path, (p) => this.#readlink(p), { last: 'keep' });
    if (at === undefined) throw this.#refuse(path, 'leads through a loop of links');
    const parent = at.slice(0, Math.max(1, at.lastIndexOf('/')));
    const first = mkdirSync(this.#disk(parent), { recursive: true });
    // The mask of the process is not seen in the image.
    if (first !== undefined)
      for (let made = parent; this.#root.length + made.length >= first.length; made = dirname(made))
        chmodSync(this.#disk(made), 0o755);
    return at;
  }

  #makeDir(entry: TarEntry, at: string): void {
    const existing = this.#lstat(at);
    if (existing?.isSymbolicLink() === true && this.#leadsToDir(at)) return;
    if (existing?.isDirectory() === true) return;
    this.#clear(at);
    mkdirSync(this.#disk(at));
    this.#dirMetadata(entry, at);
  }

  #dirMetadata(entry: TarEntry, at: string): void {
    this.#metadata(entry, at);
    this.#dirTimes.set(at, entry.mtimeNs);
  }

  #leadsToDir(at: string): boolean {
    const target = resolveInRoot(at, (p) => this.#readlink(p));
    return target !== undefined && this.#lstat(target)?.isDirectory() === true;
  }

  #clear(at: string): void {
    const existing = this.#lstat(at);
    if (existing === undefined) return;
    if (existing.isDirectory()) throw this.#refuse(at, 'replaces a directory');
    rmSync(this.#disk(at));
  }

  #metadata(entry: TarEntry, at: string): void {
    const disk = this.#disk(at);
    lchownSync(disk, entry.uid, entry.gid);
    if (entry.type !== 'symlink') chmodSync(disk, entry.mode);
    for (const [name, value] of entry.xattrs) {
      // These would change what the layer means (Linux, overlayfs.rst).
      if (/^(?:trusted|user)\.overlay\./.test(name)) continue;
      setXattr(this.#root + at, name, value);
    }
    setTimes(this.#root + at, { atimeNs: entry.mtimeNs, mtimeNs: entry.mtimeNs });
  }

  #clean(name: string): string {
    const parts = name.split('/').filter((part) => part !== '' && part !== '.');
    if (parts.includes('..')) throw this.#refuse(name, 'leaves the root');
    return `/${parts.join('/')}`;
  }

  #disk(path: string): string | Buffer {
    return fsPath(this.#root + path);
  }

  #lstat(path: string): Stats | undefined {
    return lstatSync(this.#disk(path), { throwIfNoEntry: false });
  }

  #readlink(path: string): string | undefined {
    try {
      return readlinkSync(this.#disk(path), 'utf8');
    } catch (e) {
      if (isErrno(e, 'EINVAL', 'ENOENT', 'ENOTDIR')) return undefined;
      throw e;
    }
  }

  #refuse(path: string, why: string): FailureError {
    return new FailureError(
      failure('PK042', 3, `${this.#name}: entry ${JSON.stringify(path)} ${why}`),
    );
  }
}

async function writeData(disk: string | Buffer, reader: ArchiveReader): Promise<void> {
  const file = openSync(disk, 'wx', 0o600);
  try {
    const now = reader.dataNow();
    if (now !== undefined) writeFileSync(file, now);
    else for await (const chunk of reader.data()) writeFileSync(file, chunk);
  } finally {
    closeSync(file);
  }
}
