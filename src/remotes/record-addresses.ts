import { byCodeUnit, sha256 } from '../base/index.ts';
import type { GraphRecord } from './cache-graph.ts';
import { inputsFirst } from './merge-graphs.ts';

/**
 * A name for every record of a graph that is the same in every store and in every order of the records: what it is and,
 * for each input, what it may come from.
 */
export function recordAddresses(records: readonly GraphRecord[]): readonly string[] {
  const addresses: string[] = records.map(() => '');
  for (const index of inputsFirst(records)) {
    const record = records[index];
    if (record === undefined) continue;
    const inputs = record.inputs.map((links) =>
      links
        .map((link) => `${addresses[link.record] ?? ''} ${link.selector ?? ''}`)
        .sort(byCodeUnit)
        .join(','),
    );
    addresses[index] = sha256([record.digest, ...inputs].join(';')).slice('sha256:'.length);
  }
  return addresses;
}
