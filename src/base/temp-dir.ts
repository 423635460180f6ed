import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from './errno.ts';
import { makeDirectory } from './make-directory.ts';
import { livenessOf, ownIdentity } from './process-identity.ts';

/** Beside a temporary directory lies a file of this ending that says whose it is. */
const OWNER = '.owner';

/** A temporary directory with one owner; removed when disposed, and by `TempDir.sweep` when its process was killed. */
export class TempDir implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** Makes `<root>/<prefix>XXXXXX`; `root` is made when absent. */
  static async create(root: string, prefix = 'tmp-'): Promise<TempDir> {
    makeDirectory(root);
    const path = join(root, prefix + randomBytes(6).toString('hex'));
    await writeFile(path + OWNER, ownIdentity(), { flag: 'wx', mode: 0o600 });
    await mkdir(path, { mode: 0o700 });
    return new TempDir(path);
  }

  /** Removes directories below `root` whose process has ended; nothing may be mounted in them. */
  static async sweep(root: string): Promise<void> {
    for (const name of await readdir(root)) {
      if (!name.endsWith(OWNER)) continue;
      const file = join(root, name);
      if (livenessOf(await readOrEmpty(file)) !== 'ended') continue;
      await rm(file.slice(0, -OWNER.length), { recursive: true, force: true });
      await rm(file, { force: true });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
    await rm(this.path + OWNER, { force: true });
  }
}

/** Another process may have removed it. */
async function readOrEmpty(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (e) {
    if (isErrno(e, 'ENOENT')) return '';
    throw e;
  }
}
