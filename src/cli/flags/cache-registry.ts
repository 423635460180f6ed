import { ok, type Result } from '../../base/index.ts';
import type { CachePlace } from '../../build/index.ts';
import { normaliseReference } from '../../oci/index.ts';
import { scopeTag } from '../../remotes/index.ts';
import type { CacheSpec, CacheType } from './cache-type.ts';

/** `type=registry,ref=NAME`. */
export const registryCache: CacheType = {
  fromKeys: ['ref'],
  toKeys: ['ref'],
  from: (spec) => {
    const place = registryPlace(spec, spec.map.get('ref'));
    return place.ok ? ok([place.value]) : place;
  },
  to: (spec) => registryPlace(spec, spec.map.get('ref')),
};

/** The place of a name in a registry. */
export function registryPlace(spec: CacheSpec, ref: string | undefined): Result<CachePlace> {
  if (ref === undefined || ref === '')
    return spec.refuse('type=registry needs ref', 'write type=registry,ref=NAME');
  const name = normaliseReference(ref);
  const scope = spec.map.get('scope');
  if (name.ok && scope === undefined) return ok({ kind: 'registry', ref: name.value });
  if (name.ok) {
    if (ref.includes('@')) return spec.refuse('a reference with a digest has no scopes');
    // A tag that was given is the beginning of those of all scopes.
    const tagged = /:[^/:]*$/.test(ref);
    const base = name.value.replace(/:[^/:]*$/, '');
    const prefix = tagged ? `${name.value.slice(base.length + 1)}-` : '';
    return ok({ kind: 'registry', ref: `${base}:${prefix}${scopeTag(scope ?? '')}` });
  }
  return spec.refuse(`"${ref}" is not an image name`, 'write [registry/]name[:tag]');
}
