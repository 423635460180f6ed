import { err, failure, ok, type Result } from '../base/index.ts';
import type { Io } from './io.ts';

/** How layers that a step works on are brought before it: as directories, or mounted where the kernel can do that. */
export type SnapshotForm = 'erofs' | 'directories';

/** The variable that chooses. */
export const FORM = 'VARVE_SNAPSHOTS';

/** Reads `VARVE_SNAPSHOTS`; without it layers are mounted where that works. */
export function snapshotForm(env: Io['env']): Result<SnapshotForm> {
  const given = env[FORM] ?? '';
  if (given === 'directories') return ok(given);
  if (given === 'erofs' || given === '') return ok('erofs');
  return err(
    failure('CL009', 2, `${FORM} "${given}" is neither "erofs" nor "directories"`, {
      help: `write ${FORM}=erofs, ${FORM}=directories or nothing`,
    }),
  );
}
