import { isRecord, parseJson } from '../base/index.ts';
import type { MemoDb } from '../ports/index.ts';
import type { CachePlace } from './request.ts';

const MEMO = 'cache-mount-places.v1';

/** Caches that `varve cache import` named: their mounts are looked for in every build. */
export function rememberMountPlace(deps: { readonly memo: MemoDb }, place: CachePlace): void {
  const others = storedPlaces(deps).filter((text) => text !== JSON.stringify(place));
  const all = JSON.stringify([...others, JSON.stringify(place)]);
  deps.memo.set(MEMO, 'all', Buffer.from(all));
}

/** The places that `rememberMountPlace` was given, oldest first. */
export function rememberedPlaces(deps: { readonly memo: MemoDb }): readonly CachePlace[] {
  return storedPlaces(deps).flatMap((text) => {
    const json = parseJson(text);
    // Written by `rememberMountPlace` from a value of this type.
    return json.ok && isRecord(json.value) ? [json.value as unknown as CachePlace] : [];
  });
}

function storedPlaces(deps: { readonly memo: MemoDb }): readonly string[] {
  const json = parseJson(Buffer.from(deps.memo.get(MEMO, 'all') ?? '[]').toString('utf8'));
  return json.ok && Array.isArray(json.value)
    ? json.value.filter((each) => typeof each === 'string')
    : [];
}
