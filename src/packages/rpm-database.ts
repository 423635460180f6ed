import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { err, failure, isErrno, ok, type Result, TempDir } from '../base/index.ts';
import { type InstalledPackage, installedRpms } from '../disk/index.ts';
import { RpmHeader } from '../rpm/index.ts';

/** Reads the packages in a database of rpm (`rpmdb.sqlite`: one header a row). PK044: it is none. */
export function readRpmDatabase(path: string): Result<readonly InstalledPackage[]> {
  const headers: RpmHeader[] = [];
  try {
    using database = new DatabaseSync(path, { readOnly: true });
    for (const row of database.prepare('SELECT hnum, blob FROM Packages').iterate()) {
      const { hnum, blob } = row;
      if (!(blob instanceof Uint8Array)) continue;
      const header = RpmHeader.stored(Buffer.from(blob), `package ${String(hnum)} of ${path}`);
      if (!header.ok) return header;
      headers.push(header.value);
    }
  } catch (e) {
    if (!isErrno(e, 'ERR_SQLITE_ERROR')) throw e;
    return err(failure('PK044', 3, `${path} is no database of rpm: ${e.message}`));
  }
  return ok(installedRpms(headers));
}

/** The same of a database in memory. SQLite opens only files: it lies below `workDir` meanwhile. */
export async function readRpmDatabaseBytes(
  bytes: Uint8Array,
  workDir: string,
): Promise<Result<readonly InstalledPackage[]>> {
  await using dir = await TempDir.create(workDir, 'rpm-database-');
  const path = join(dir.path, 'rpmdb.sqlite');
  await writeFile(path, bytes);
  return readRpmDatabase(path);
}
