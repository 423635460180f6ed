import type { CacheDb, Lease, RecordId } from '../ports/index.ts';
import { type ExportedRecord, exportRecords } from '../solve/index.ts';
import type { CacheTarget } from './request.ts';

/** Records whose layers are held: what was trimmed away before they were is left out, and nothing is taken afterwards. */
export function heldRecords(
  cache: CacheDb,
  { records, mode }: { readonly records: readonly RecordId[]; readonly mode: CacheTarget['mode'] },
  lease: Pick<Lease, 'add'>,
): readonly ExportedRecord[] {
  const found = exportRecords(cache, records, mode);
  const layers = new Set(found.flatMap(({ results }) => results.flatMap(({ chain }) => chain)));
  lease.add(...new Set([...layers].map(({ id }) => `layer:${id}`)));
  return exportRecords(cache, records, mode);
}
