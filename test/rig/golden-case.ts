import { spawnSync } from 'node:child_process';
import { chmodSync, linkSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** An entry of a golden context. */
export interface Entry {
  readonly path: string;
  readonly type?: 'file' | 'dir' | 'symlink' | 'hardlink';
  readonly mode?: string;
  readonly content?: string;
  readonly contentBase64?: string;
  readonly target?: string;
  readonly mtime?: number;
  readonly xattrs?: Readonly<Record<string, string>>;
  readonly delete?: boolean;
}

/** A build of the golden data (`case.json`). */
export interface GoldenCase {
  readonly name: string;
  readonly entries: readonly Entry[];
  readonly opts?: Readonly<Record<string, string>>;
  readonly secrets?: Readonly<Record<string, string>>;
  readonly output?: string;
  readonly cacheMode?: 'min' | 'max' | 'inline';
  readonly changes?: Readonly<Record<string, readonly Entry[]>>;
}

/** Writes a golden context to a directory, times and attributes included. */
export function writeEntries(dir: string, entries: readonly Entry[]): void {
  mkdirSync(dir, { recursive: true });
  for (const entry of entries) {
    const path = join(dir, entry.path);
    mkdirSync(dirname(path), { recursive: true });
    if (entry.type === 'dir') mkdirSync(path, { recursive: true });
    else if (entry.type === 'symlink') symlinkSync(entry.target ?? '', path);
    else if (entry.type === 'hardlink') linkSync(join(dir, entry.target ?? ''), path);
    else
      writeFileSync(
        path,
        entry.contentBase64 === undefined
          ? (entry.content ?? '')
          : Buffer.from(entry.contentBase64, 'base64'),
      );
    if (entry.type !== 'symlink')
      chmodSync(path, Number.parseInt(entry.mode ?? (entry.type === 'dir' ? '0755' : '0644'), 8));
    for (const [name, value] of Object.entries(entry.xattrs ?? {}))
      spawnSync('setfattr', ['-n', name, '-v', value, path]);
  }
  // Directories last and deepest first: writing into one changes its time.
  for (const entry of [...entries].reverse()) {
    const time = entry.mtime ?? 1704164645;
    if (entry.type === 'symlink')
      spawnSync('touch', ['-h', '-d', `@${time}`, join(dir, entry.path)]);
    else utimesSync(join(dir, entry.path), time, time);
  }
}
