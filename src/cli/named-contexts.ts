import { resolve } from 'node:path';
import { ok, type Result } from '../base/index.ts';
import type { NamedContext } from '../build/index.ts';
import { openLocalSource } from '../context/index.ts';
import { normaliseReference } from '../oci/index.ts';
import type { LocalSource } from '../ports/index.ts';
import { usage } from './flags/csv.ts';
import type { Io } from './io.ts';
import { remoteAddress } from './remote-address.ts';
import { shownAs } from './shown-path.ts';
import { storePaths } from './store.ts';

/** The `--build-context` flags: what each name means. */
export function namedContexts(
  io: Io,
  values: readonly string[],
  root: string,
): Result<ReadonlyMap<string, NamedContext>> {
  const map = new Map<string, NamedContext>();
  for (const value of values) {
    const equals = value.indexOf('=');
    if (equals <= 0) return usage('--build-context', value, 'not name=where');
    const context = namedContext(io, value, value.slice(equals + 1), root);
    if (!context.ok) return context;
    map.set(value.slice(0, equals), context.value);
  }
  return ok(map);
}

function namedContext(io: Io, flag: string, where: string, root: string): Result<NamedContext> {
  if (where.startsWith('docker-image://')) {
    const ref = where.slice('docker-image://'.length);
    if (ref === 'scratch') return ok({ kind: 'image', ref });
    const name = normaliseReference(ref);
    return name.ok
      ? ok({ kind: 'image', ref: name.value })
      : usage('--build-context', flag, `"${ref}" is not an image name`);
  }
  if (where.startsWith('template:'))
    return ok({ kind: 'template', file: where.slice('template:'.length) });
  if (where.startsWith('oci-layout://')) return ociLayout(io, where.slice('oci-layout://'.length));
  const address = remoteAddress(where);
  if (address !== undefined) return ok({ kind: 'remote', address });
  const path = resolve(io.cwd, where.replace(/^local:/, ''));
  const source: Result<LocalSource> = openLocalSource(path, {
    clock: io.clock,
    indexDir: storePaths(root).contexts,
  });
  return source.ok
    ? ok({ kind: 'local', source: source.value })
    : shownAs(source.error, path, where);
}

/** `PATH[:TAG][@DIGEST]`. */
function ociLayout(io: Io, text: string): Result<NamedContext> {
  const match = /^(.*?)(?::([\w][\w.-]{0,127}))?(?:@(sha256:[0-9a-f]{64}))?$/.exec(text);
  const [path, tag, digest] = [match?.[1] ?? text, match?.[2], match?.[3]];
  return ok({
    kind: 'oci-layout',
    path: resolve(io.cwd, path),
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  });
}
