import type { Digest } from '../base/index.ts';
import type { Entry } from '../gc/index.ts';
import { blobEntries, imageEntries, recordEntries } from './blob-entries.ts';
import type { UpkeepDeps } from './deps.ts';
import { gatherFacts } from './facts.ts';
import { housekeepingEntries, mountEntries, otherEntries, packageEntries } from './file-entries.ts';
import { layerDirs, layerEntries, layerUses, Parents } from './layer-entries.ts';
import { restEntry } from './rest-entry.ts';
import { Sizes } from './sizes.ts';

/** Everything the store holds. */
export async function takeInventory(deps: UpkeepDeps): Promise<readonly Entry[]> {
  const quick = new Sizes(deps.db.measured());
  const entries = await inventory(deps, quick);
  if (!quick.doubtful) {
    deps.db.remember(quick.fresh);
    return entries;
  }
  const all = new Sizes(new Map());
  const again = await inventory(deps, all);
  deps.db.remember(all.fresh);
  return again;
}

async function inventory(deps: UpkeepDeps, sizes: Sizes): Promise<readonly Entry[]> {
  const facts = await gatherFacts(deps, sizes);
  const blobs = new Map<Digest, number>();
  for await (const { digest, size } of deps.content.list()) blobs.set(digest, size);
  const forms = { dirs: await layerDirs(deps), blobs };
  const shared = { forms, parents: new Parents(facts, forms), uses: layerUses(facts) };
  const entries = [
    ...layerEntries(facts, forms, shared),
    ...blobEntries(deps, facts, shared),
    ...mountEntries(deps, facts),
    ...packageEntries(deps, facts),
    ...otherEntries(deps, facts),
    ...imageEntries(facts),
    ...recordEntries(facts, forms),
    ...housekeepingEntries(deps, facts),
  ];
  return [...entries, ...restEntry(deps, entries)];
}
