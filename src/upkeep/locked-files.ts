import { readFileSync, statSync } from 'node:fs';

/** Files that some process has a flock(2) on, told without touching a lock (proc(5), `/proc/locks`). */
export class LockedFiles {
  readonly #inodes: ReadonlySet<string>;

  constructor() {
    const lines = readFileSync('/proc/locks', 'utf8').split('\n');
    this.#inodes = new Set(
      lines.flatMap((line) => {
        const [, kind, , , , file] = line.trim().split(/\s+/);
        return kind === 'FLOCK' ? [file?.split(':')[2] ?? ''] : [];
      }),
    );
  }

  /** Whether the file is locked; one that is not there is not. */
  has(path: string): boolean {
    const inode = statSync(path, { throwIfNoEntry: false })?.ino;
    return inode !== undefined && this.#inodes.has(String(inode));
  }
}
