import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { err, type Failure, isErrno, ok, type Result } from '../../base/index.ts';
import { type DiskReport, type InstalledPackage, reportDisk } from '../../disk/index.ts';
import { readDisk } from '../../diskread/index.ts';
import { readRpmDatabase } from '../../packages/index.ts';
import type { Io } from '../io.ts';

/** Whether a file is no text: a template has no NUL. False where there is no file, which reading it as a template says. */
export function isDiskFile(io: Io, file: string): boolean {
  try {
    const fd = openSync(resolve(io.cwd, file), 'r');
    try {
      const head = Buffer.alloc(4096);
      return head.subarray(0, readSync(fd, head, 0, head.length, 0)).includes(0);
    } finally {
      closeSync(fd);
    }
  } catch (e) {
    if (!isErrno(e, 'ENOENT', 'EACCES', 'EISDIR', 'ENOTDIR')) throw e;
    return false;
  }
}

/** What a disk holds. TP012: it cannot be read. */
export function openReport(
  io: Io,
  file: string,
  options: { readonly files: boolean },
): Result<DiskReport> {
  const failures: Failure[] = [];
  const rpm = (database: Buffer): readonly InstalledPackage[] => {
    const read = rpmPackages(database);
    if (read.ok) return read.value;
    failures.push(read.error);
    return [];
  };
  const report = readDisk(resolve(io.cwd, file), (disk) => reportDisk(disk, { ...options, rpm }));
  const [first] = failures;
  return first === undefined ? report : err(first);
}

/** SQLite opens only files. */
function rpmPackages(database: Buffer): Result<readonly InstalledPackage[]> {
  const dir = mkdtempSync(join(tmpdir(), 'varve-rpmdb-'));
  try {
    const path = join(dir, 'rpmdb.sqlite');
    writeFileSync(path, database);
    const read = readRpmDatabase(path);
    return read.ok ? ok(read.value) : read;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
