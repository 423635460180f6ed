import { isRecord, parseJson } from '../base/index.ts';
import type { MemoDb } from '../ports/index.ts';
import { type Fact, factChanges } from '../project/index.ts';
import type { KeyedLayer, LayerCause } from './project-types.ts';

const MEMO = 'project-layers.v1';
/** Builds of a layer that are remembered. */
const REMEMBERED = 8;

/** One build of a layer that this machine knows of. */
export interface LayerMemory {
  readonly key: string;
  readonly facts: readonly Fact[];
  readonly bytes: number;
  readonly costMs: number;
}

/** The builds of a layer, newest first. */
export function layerMemory(
  memo: MemoDb,
  project: string,
  layer: KeyedLayer,
): readonly LayerMemory[] {
  const bytes = memo.get(MEMO, memoKey(project, layer));
  const parsed = parseJson(Buffer.from(bytes ?? []).toString('utf8'));
  // Written by `rememberLayer` only.
  return parsed.ok && Array.isArray(parsed.value)
    ? (parsed.value.filter(isRecord) as unknown as LayerMemory[])
    : [];
}

/** Remembers a build, or that a layer of this key was met. */
export function rememberLayer(
  memo: MemoDb,
  project: string,
  layer: KeyedLayer,
  made: Pick<LayerMemory, 'bytes' | 'costMs'>,
): void {
  const before = layerMemory(memo, project, layer);
  if (before[0]?.key === layer.key) return;
  const all = [
    { key: layer.key, facts: layer.facts, bytes: made.bytes, costMs: Math.round(made.costMs) },
    ...before.filter(({ key }) => key !== layer.key),
  ].slice(0, REMEMBERED);
  memo.set(MEMO, memoKey(project, layer), Buffer.from(JSON.stringify(all)));
}

const memoKey = (project: string, { spec, platform }: KeyedLayer): string =>
  `${project} ${spec.name} ${platform.os}/${platform.architecture}/${platform.variant ?? ''}`;

/**
 * Why a layer has no result: what differs from the nearest key it had before. Where only the key of a need differs, the
 * cause is that need's.
 */
export function layerCause(memo: MemoDb, project: string, layer: KeyedLayer): LayerCause {
  const before = layerMemory(memo, project, layer);
  const same = before.find(({ key }) => key === layer.key);
  if (same !== undefined) return { kind: 'gone', layer: layer.spec.name, changes: [] };
  const [nearest] = before
    .map(({ facts }) => factChanges(facts, layer.facts))
    .sort((a, b) => a.length - b.length);
  if (nearest === undefined) return { kind: 'first time', layer: layer.spec.name, changes: [] };
  const own = nearest.filter(({ kind }) => kind !== 'layer');
  if (own.length > 0) return { kind: 'changed', layer: layer.spec.name, changes: own };
  const need = [...layer.below, ...layer.uses].find(({ spec }) => spec.name === nearest[0]?.name);
  if (need === undefined) return { kind: 'changed', layer: layer.spec.name, changes: nearest };
  const above = layerCause(memo, project, need);
  // A need that was met under its new key already has forgotten nothing: what changed is between its last two keys.
  if (above.kind !== 'gone') return above;
  const [now, was] = layerMemory(memo, project, need);
  const changes = now === undefined || was === undefined ? [] : factChanges(was.facts, now.facts);
  return { kind: 'changed', layer: need.spec.name, changes };
}
