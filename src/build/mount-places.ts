import { isRecord, parseJson } from '../base/index.ts';
import type { MemoDb } from '../ports/index.ts';
import type { CacheSource } from './request.ts';

const MEMO = 'cache-mount-places.v1';

/** Whether a place may be kept in the database: those of services hold credentials, or what is valid for one run. */
export function isRemembered({ kind, trust }: CacheSource): boolean {
  return trust === undefined && (kind === 'registry' || kind === 'local' || kind === 'dir');
}

/** Caches that `varve cache import` named: their mounts are looked for in every build. */
export function rememberMountPlace(deps: { readonly memo: MemoDb }, place: CacheSource): void {
  if (!isRemembered(place)) throw new Error(`a place of the kind ${place.kind} is not remembered`);
  const text = JSON.stringify(place);
  const all = [...storedPlaces(deps).filter((other) => other !== text), text];
  deps.memo.set(MEMO, 'all', Buffer.from(JSON.stringify(all)));
}

/** The places that `rememberMountPlace` was given, oldest first. */
export function rememberedPlaces(deps: { readonly memo: MemoDb }): readonly CacheSource[] {
  return storedPlaces(deps).flatMap((text) => {
    const json = parseJson(text);
    // Written by `rememberMountPlace` from a value of this type.
    return json.ok && isRecord(json.value) ? [json.value as unknown as CacheSource] : [];
  });
}

function storedPlaces(deps: { readonly memo: MemoDb }): readonly string[] {
  const json = parseJson(Buffer.from(deps.memo.get(MEMO, 'all') ?? '[]').toString('utf8'));
  return json.ok && Array.isArray(json.value)
    ? json.value.filter((each) => typeof each === 'string')
    : [];
}
