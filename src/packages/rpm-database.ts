import { DatabaseSync } from 'node:sqlite';
import { err, failure, isErrno, ok, type Result } from '../base/index.ts';
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
