import { err, failure } from '../../base/index.ts';
import { type CacheSource, importStore } from '../../build/index.ts';
import { withCacheWorld } from '../cache-world.ts';
import { cacheFromFlag } from '../flags/cache.ts';
import { type Io, printJson } from '../io.ts';

/** `varve cache import`. */
export function cacheImport(io: Io, values: Readonly<Record<string, unknown>>): Promise<number> {
  return withCacheWorld(
    io,
    values,
    async ({ options, deps }) => {
      const sources: CacheSource[] = [];
      for (const text of options.list('from')) {
        const places = cacheFromFlag(text, io);
        if (!places.ok) return places;
        const mounts = options.is('mounts') ? { mounts: true } : {};
        sources.push(...places.value.map((place) => ({ ...place, ...mounts })));
      }
      if (sources.length === 0)
        return err(
          failure('CL001', 2, 'nothing says where to import from', {
            help: 'name a place with --from',
          }),
        );
      return await importStore(sources, { deps, signal: io.signal });
    },
    (reports) => {
      if (values['json'] === true)
        for (const { source, bytes } of reports) printJson(io, { source, bytes });
      return 0;
    },
  );
}
