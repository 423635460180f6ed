import { TarReader } from '../archive/index.ts';
import type { Result } from '../base/index.ts';
import { type Deb, openMember } from './deb.ts';
import { writeArchive } from './tree-writer.ts';

/** Writes the files of a Debian package below `root` (`writeArchive`). */
export async function extractDeb(
  deb: Deb,
  root: string,
  signal: AbortSignal,
): Promise<Result<void>> {
  const reader = new TarReader(openMember(deb, deb.data, signal));
  return await writeArchive(reader, { root, name: deb.path }, signal);
}
