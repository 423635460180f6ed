import { closeSync, openSync, readSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { isErrno, ok, type Result } from '../../base/index.ts';
import { type DiskReport, type InstalledPackage, reportDisk } from '../../disk/index.ts';
import { readDisk } from '../../diskread/index.ts';
import { readRpmDatabaseBytes } from '../../packages/index.ts';
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
export async function openReport(
  io: Io,
  file: string,
  options: { readonly files: boolean },
): Promise<Result<DiskReport>> {
  const databases: Buffer[] = [];
  const rpm = (database: Buffer): readonly InstalledPackage[] => {
    databases.push(database);
    return [];
  };
  const report = readDisk(resolve(io.cwd, file), (disk) => reportDisk(disk, { ...options, rpm }));
  const [database] = databases;
  if (!report.ok || database === undefined) return report;
  const packages = await readRpmDatabaseBytes(database, tmpdir());
  return packages.ok ? ok({ ...report.value, packages: packages.value }) : packages;
}
