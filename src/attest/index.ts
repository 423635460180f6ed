export { type InventoryWorld, inventory } from './inventory.ts';
export { gitMaterial, type Material, materials } from './materials.ts';
export { PROVENANCE_TYPE, provenance } from './provenance.ts';
export {
  imageSubjects,
  type Predicate,
  SPDX_TYPE,
  STATEMENT_MEDIA_TYPE,
  type Subject,
  statement,
} from './statement.ts';
export type {
  Attestations,
  BuildFacts,
  ConfigSource,
  InventoryOptions,
  ProvenanceOptions,
} from './types.ts';
