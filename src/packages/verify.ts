import { statSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  byCodeUnit,
  type Digest,
  hexOf,
  isErrno,
  isRecord,
  parseJson,
  readIfThere,
  sha256,
} from '../base/index.ts';
import { PackagesIndex } from './packages-index.ts';

/** A file of the package store, and what is wrong with it. */
export interface PackageFault {
  readonly path: string;
  readonly bytes: number;
  /** Absent when the file is what it should be. */
  readonly fault?: string;
}

/** Every file of the package store, compared with the digest in its name or beside it; one result a file. */
export async function* verifyPackages(
  root: string,
  options: {
    readonly signal: AbortSignal;
    /** Hashes files, many at once. */
    readonly hash: (files: readonly PoolFile[]) => Promise<void>;
  },
): AsyncGenerator<PackageFault> {
  const { signal, hash } = options;
  yield* await verifyPool(join(root, 'pool'), hash);
  for (const [folder, check] of [
    ['index', (bytes: Buffer) => PackagesIndex.read(bytes) !== undefined],
    ['lock', isSoundMemo],
    ['rpm-index', isSoundMemo],
  ] as const)
    for (const name of await names(join(root, folder))) {
      signal.throwIfAborted();
      const path = join(root, folder, name);
      const bytes = await readIfThere(path);
      if (bytes !== undefined)
        yield result(path, bytes.length, check(bytes) ? undefined : 'its checksum does not hold');
    }
  for (const suite of await names(join(root, 'release')))
    for (const name of await names(join(root, 'release', suite))) {
      signal.throwIfAborted();
      const path = join(root, 'release', suite, name);
      const bytes = await readIfThere(path);
      if (bytes === undefined) continue;
      const sound = name === 'state.json' ? isState(bytes) : hexOf(sha256(bytes)) === name;
      yield result(path, bytes.length, sound ? undefined : 'it is not what its name says');
    }
}

/** A package whose SHA-256 is wanted. */
export interface PoolFile {
  readonly path: string;
  readonly header: Uint8Array;
  readonly size: number;
  isSame(): boolean;
  /** Undefined: it was removed meanwhile. */
  done(digest: Digest | undefined): void;
}

async function verifyPool(
  pool: string,
  hash: (files: readonly PoolFile[]) => Promise<void>,
): Promise<readonly PackageFault[]> {
  const found: PackageFault[] = [];
  const files: PoolFile[] = [];
  for (const shelf of await names(pool)) {
    if (!/^[0-9a-f]{2}$/.test(shelf)) continue;
    for (const hex of await names(join(pool, shelf))) {
      const path = join(pool, shelf, hex);
      const size = statSync(path, { throwIfNoEntry: false })?.size;
      if (size === undefined) continue;
      const done = (digest: Digest | undefined): void => {
        if (digest === undefined) return;
        const wrong = hexOf(digest) !== hex;
        found.push(result(path, size, wrong ? `its bytes have the digest ${digest}` : undefined));
      };
      // A package never changes under its name.
      files.push({ path, header: new Uint8Array(), size, isSame: () => true, done });
    }
  }
  await hash(files);
  return found.sort((a, b) => byCodeUnit(a.path, b.path));
}

const result = (path: string, bytes: number, fault: string | undefined): PackageFault =>
  fault === undefined ? { path, bytes } : { path, bytes, fault };

/** A remembered choice of packages begins with the digest of the rest. */
function isSoundMemo(bytes: Buffer): boolean {
  const text = bytes.toString('utf8');
  const newline = text.indexOf('\n');
  return text.slice(0, newline) === sha256(text.slice(newline + 1));
}

function isState(bytes: Buffer): boolean {
  const parsed = parseJson(bytes.toString('utf8'));
  return parsed.ok && isRecord(parsed.value) && typeof parsed.value['raw'] === 'string';
}

/** Names in a directory, without those of files that are just being written. */
async function names(dir: string): Promise<string[]> {
  try {
    if (!(await stat(dir)).isDirectory()) return [];
    return (await readdir(dir)).filter((name) => !name.startsWith('.')).sort();
  } catch (e) {
    if (isErrno(e, 'ENOENT')) return [];
    throw e;
  }
}
