import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SandboxSpec } from '../ports/index.ts';
import { mountTmpfs, unmount } from '../sys/index.ts';

/** Secrets of one run as files in memory. */
export interface SecretFiles extends Disposable {
  /** Path by index of the mount. */
  readonly files: ReadonlyMap<number, string>;
}

/**
 * Mounts a memory file system at `dir` that only root may enter and writes the secrets there. Without any nothing is mounted;
 * secrets of the environment are written there by others.
 */
export function writeSecretFiles(
  dir: string,
  { mounts, secretEnv }: Pick<SandboxSpec, 'mounts' | 'secretEnv'>,
): SecretFiles {
  const files = new Map<number, string>();
  if (secretEnv !== true && !mounts.some((m) => m.kind === 'secret'))
    return { files, [Symbol.dispose]: () => undefined };
  mkdirSync(dir, { mode: 0o700 });
  mountTmpfs(dir, { mode: 0o700 });
  const made: SecretFiles = {
    files,
    // A process that escaped its namespace could still hold a file open: detach, do not wait for it.
    [Symbol.dispose]: () => unmount(dir, { lazy: true }),
  };
  try {
    mounts.forEach((mount, index) => {
      if (mount.kind !== 'secret') return;
      const path = join(dir, String(index));
      writeFileSync(path, mount.data, { flag: 'wx', mode: 0o600 });
      chownSync(path, mount.uid, mount.gid);
      chmodSync(path, mount.mode & 0o777);
      files.set(index, path);
    });
  } catch (e) {
    made[Symbol.dispose]();
    throw e;
  }
  return made;
}
