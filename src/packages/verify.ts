import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { hexOf, isErrno, isRecord, parseJson, sha256 } from '../base/index.ts';
import { hashFile } from './blob-pool.ts';
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
  signal: AbortSignal,
): AsyncGenerator<PackageFault> {
  const pool = join(root, 'pool');
  for (const shelf of await names(pool)) {
    if (!/^[0-9a-f]{2}$/.test(shelf)) continue;
    for (const hex of await names(join(pool, shelf))) {
      signal.throwIfAborted();
      const path = join(pool, shelf, hex);
      const actual = await hashFile(path);
      if (actual === undefined) continue;
      const wrong = hexOf(actual.digest) !== hex;
      yield result(
        path,
        actual.size,
        wrong ? `its bytes have the digest ${actual.digest}` : undefined,
      );
    }
  }
  for (const [folder, check] of [
    ['index', (bytes: Buffer) => PackagesIndex.read(bytes) !== undefined],
    ['lock', isSoundMemo],
    ['rpm-index', isSoundMemo],
  ] as const)
    for (const name of await names(join(root, folder))) {
      signal.throwIfAborted();
      const path = join(root, folder, name);
      const bytes = await readFile(path);
      yield result(path, bytes.length, check(bytes) ? undefined : 'its checksum does not hold');
    }
  for (const suite of await names(join(root, 'release')))
    for (const name of await names(join(root, 'release', suite))) {
      signal.throwIfAborted();
      const path = join(root, 'release', suite, name);
      const bytes = await readFile(path);
      const sound = name === 'state.json' ? isState(bytes) : hexOf(sha256(bytes)) === name;
      yield result(path, bytes.length, sound ? undefined : 'it is not what its name says');
    }
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

async function names(dir: string): Promise<string[]> {
  try {
    return (await stat(dir)).isDirectory() ? (await readdir(dir)).sort() : [];
  } catch (e) {
    if (isErrno(e, 'ENOENT')) return [];
    throw e;
  }
}
