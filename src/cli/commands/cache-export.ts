import { err, failure, ok, type Result } from '../../base/index.ts';
import { type CacheTarget, type ExportedPart, exportStore } from '../../build/index.ts';
import type { Options } from '../build-request.ts';
import { type CacheWorld, withCacheWorld } from '../cache-world.ts';
import { cacheToFlag } from '../flags/cache.ts';
import type { Io } from '../io.ts';

/** `varve cache export`. */
export function cacheExport(
  io: Io,
  context: string | undefined,
  values: Readonly<Record<string, unknown>>,
): Promise<number> {
  return withCacheWorld(
    io,
    values,
    async (world) => {
      const targets = targetsOf(io, world.options);
      if (!targets.ok) return targets;
      const part = await partOf(context, world);
      if (!part.ok) return part;
      return await exportStore(part.value, targets.value, { deps: world.deps, signal: io.signal });
    },
    () => 0,
  );
}

/** Without a build nobody says how much is wanted: everything. */
function targetsOf(io: Io, options: Options): Result<readonly CacheTarget[]> {
  const targets: CacheTarget[] = [];
  for (const text of options.list('to')) {
    const target = cacheToFlag(text, io);
    if (!target.ok) return target;
    const { place } = target.value;
    if (place.kind === 'inline')
      return err(
        failure('CL002', 2, `--to ${JSON.stringify(text)}: an inline cache needs a build`),
      );
    const mode = /(?:^|,)mode=/.test(text) ? target.value.mode : 'max';
    targets.push({ ...target.value, mode, ...(options.is('mounts') ? { mounts: true } : {}) });
  }
  return targets.length > 0
    ? ok(targets)
    : err(
        failure('CL001', 2, 'nothing says where to export to', { help: 'name a place with --to' }),
      );
}

async function partOf(
  context: string | undefined,
  { options, store, request }: CacheWorld,
): Promise<Result<ExportedPart>> {
  const build = options.text('build');
  if (context !== undefined) {
    if (build !== undefined)
      return err(failure('CL002', 2, 'a context and --build exclude each other'));
    const asked = await request(context);
    return asked.ok ? ok({ kind: 'request', request: asked.value }) : asked;
  }
  const rows = store.db.upkeep.results();
  if (build === undefined)
    return ok({ kind: 'all', records: [...new Set(rows.map(({ record }) => record))] });
  const builds = store.db.upkeep.builds().filter(({ id }) => id.startsWith(build));
  const [one] = builds;
  if (one === undefined || builds.length > 1)
    return err(
      failure('CL004', 2, `no build "${build}" in the history`, { help: 'see varve history ls' }),
    );
  return ok({ kind: 'build', id: one.id, records: rows });
}
