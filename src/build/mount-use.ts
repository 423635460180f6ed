import { sha256 } from '../base/index.ts';
import type { Definition } from '../llb/index.ts';
import type { openCacheRemote } from './cache-remotes.ts';
import type { BuildDeps } from './deps.ts';
import type { CacheSource } from './request.ts';

/** What moving cache mounts needs. */
export type MountDeps = Pick<BuildDeps, 'cacheMounts' | 'clock' | 'content' | 'memo'> &
  Parameters<typeof openCacheRemote>[0];

/** A cache mount as a step names it. */
export interface MountUse {
  readonly id: string;
  readonly platform: string;
}

/** The cache mounts that the steps of a definition name. */
export function mountsOf(definition: Definition): readonly MountUse[] {
  return [...definition.vertices.values()].flatMap(({ op }) => {
    if (op.body.kind !== 'exec') return [];
    const { OS = '', Architecture = '', Variant = '' } = op.platform ?? {};
    const platform = [OS, Architecture, Variant].filter((part) => part !== '').join('/');
    return op.body.exec.mounts.flatMap(({ cacheOpt }) =>
      cacheOpt === undefined ? [] : [{ id: cacheOpt.ID, platform }],
    );
  });
}

/**
 * Under which name a directory remembers how it stands to a place: a digest, because places may hold credentials. What a
 * `--cache-from` says besides the place does not count.
 */
export function syncName(place: CacheSource, platform: string): string {
  const {
    mounts: _,
    trust: __,
    scope,
    ...where
  } = { mounts: true, trust: true, scope: '', ...place };
  // A registry's tag and a directory's say the scope already.
  const isNamed = place.kind === 'registry' || place.kind === 'local';
  return sha256(JSON.stringify([where, isNamed ? '' : scope, platform]));
}

/** The id of a mount without the `/` that stands between it and its (mostly empty) namespace. */
export const shownMount = ({ id }: { readonly id: string }): string => id.replace(/^\//, '');

/** `1 file`, `2 files`. */
export const counted = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;
