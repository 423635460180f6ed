import { failure } from '../../base/index.ts';
import { parseAge } from '../../gc/index.ts';
import { fullName } from '../../image/index.ts';
import { takeInventory, type UpkeepDeps } from '../../upkeep/index.ts';
import { fail, type Io, printJson, table } from '../io.ts';
import { withUpkeep } from '../upkeep-world.ts';
import { one } from './cache-show.ts';

type Options = Readonly<Record<string, unknown>>;

/** `varve cache pin`: keeps an entry, an image with its cache, or what a build made. Without a name it lists the pins. */
export function cachePin(io: Io, name: string | undefined, options: Options): Promise<number> {
  return withUpkeep(io, { values: {} }, async (deps) => {
    if (name === undefined) return list(io, deps, options);
    const span = options['for'];
    const age = typeof span === 'string' ? parseAge(span) : undefined;
    if (typeof span === 'string' && age === undefined)
      return fail(
        io,
        failure('CL002', 2, `--for "${span}": not a duration`, { help: 'write 7d, 36h or 1w2d' }),
      );
    const resource = await resourceOf(deps, name);
    if (typeof resource !== 'string') return fail(io, resource.error);
    const createdAt = deps.clock.now();
    const reason = typeof options['reason'] === 'string' ? options['reason'] : '';
    deps.db.pin({
      resource,
      reason,
      createdAt,
      ...(age === undefined ? {} : { expiresAt: createdAt + age }),
    });
    io.out(`${resource}\n`);
    return 0;
  });
}

/** `varve cache unpin`. */
export function cacheUnpin(io: Io, names: readonly string[]): Promise<number> {
  return withUpkeep(io, { values: {} }, async (deps) => {
    let exit = 0;
    for (const name of names) {
      const known = deps.db.pins().map((pin) => pin.resource);
      const resource = known.includes(name) ? name : await resourceOf(deps, name);
      if (typeof resource === 'string' && deps.db.unpin(resource)) continue;
      exit = fail(
        io,
        typeof resource === 'string'
          ? failure('ST042', 2, `${resource} is not pinned`, { help: 'see varve cache pin' })
          : resource.error,
      );
    }
    return exit;
  });
}

function list(io: Io, deps: UpkeepDeps, options: Options): number {
  const now = deps.clock.now();
  const day = (at: number): string => new Date(at).toISOString().slice(0, 16).replace('T', ' ');
  const pins = deps.db.pins();
  if (options['json'] === true) {
    for (const { resource, reason, createdAt, expiresAt } of pins)
      printJson(io, {
        resource,
        reason,
        createdAt: new Date(createdAt).toISOString(),
        expiresAt: expiresAt === undefined ? undefined : new Date(expiresAt).toISOString(),
      });
    return 0;
  }
  io.out(
    table([
      ['PINNED', 'SINCE', 'UNTIL', 'REASON'],
      ...pins.map(({ resource, reason, createdAt, expiresAt }) => [
        resource,
        day(createdAt),
        expiresAt === undefined ? '' : `${day(expiresAt)}${expiresAt <= now ? ' (expired)' : ''}`,
        reason,
      ]),
    ]),
  );
  return 0;
}

/** What a name means: a build of the history, an image, or an entry. */
async function resourceOf(
  deps: UpkeepDeps,
  name: string,
): Promise<string | { readonly error: ReturnType<typeof failure> }> {
  const wanted = name.replace(/^build:/, '');
  const builds = deps.db.builds().filter((build) => build.id.startsWith(wanted));
  const [build] = builds;
  if (build !== undefined && builds.length === 1 && wanted.length >= 3) return `build:${build.id}`;
  const image = fullName(name.replace(/^image:/, ''));
  if (image.ok && deps.images.get(image.value) !== undefined) return `image:${image.value}`;
  const found = one(await takeInventory(deps), name);
  return found.ok ? found.entry.id : found;
}
