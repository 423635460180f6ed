import { basename, dirname, join, resolve } from 'node:path';
import { err, failure, ok, type Result, TempDir } from '../base/index.ts';
import type { BuildRequest, DockerfileLocation } from '../build/index.ts';
import { openLocalSource } from '../context/index.ts';
import { branchOf } from './git-branch.ts';
import type { Io } from './io.ts';
import { namedContexts } from './named-contexts.ts';
import { openRemote, remoteAddress } from './remote-address.ts';
import { parseFlags } from './request-flags.ts';
import { shownAs, shownPath } from './shown-path.ts';
import { storePaths } from './store.ts';

/** Options of `varve build` as commander hands them over. */
export class Options {
  readonly #values: Readonly<Record<string, unknown>>;

  constructor(values: Readonly<Record<string, unknown>>) {
    this.#values = values;
  }

  /** The same options without one of them. */
  without(name: string): Options {
    const { [name]: _, ...rest } = this.#values;
    return new Options(rest);
  }

  /** The same with other values. */
  with(values: Readonly<Record<string, unknown>>): Options {
    return new Options({ ...this.#values, ...values });
  }

  text(name: string): string | undefined {
    const value = this.#values[name];
    return typeof value === 'string' ? value : undefined;
  }

  list(name: string): readonly string[] {
    const value = this.#values[name];
    return Array.isArray(value) ? value.filter((v) => typeof v === 'string') : [];
  }

  is(name: string): boolean {
    return this.#values[name] === true;
  }

  /** `--no-x` was given. */
  isNot(name: string): boolean {
    return this.#values[name] === false;
  }
}

/** Where the store is, and who removes what a request made (an unpacked context). */
export interface RequestWorld {
  readonly root: string;
  readonly resources: AsyncDisposableStack;
}

/** Turns the command line into a request; nothing is built yet, but directories and secrets are opened. */
export async function buildRequest(
  io: Io,
  context: string | undefined,
  options: Options,
  world: RequestWorld,
): Promise<Result<BuildRequest>> {
  const { root } = world;
  const places = await openPlaces(io, context, options, world);
  if (!places.ok) return places;
  const parsed = parseFlags(io, options);
  if (!parsed.ok) return parsed;
  const named = namedContexts(io, options.list('buildContext'), root);
  if (!named.ok) return named;
  const target = options.text('target');
  const cgroupParent = options.text('cgroupParent');
  const branch = branchOf(io.env, places.value.context.root);
  return ok({
    ...(branch === undefined ? {} : { branch }),
    name: parsed.value.tags[0] ?? places.value.remote?.shown ?? context ?? '.',
    ...places.value,
    ...parsed.value,
    namedContexts: named.value,
    ...(target === undefined ? {} : { target }),
    ...(cgroupParent === undefined ? {} : { cgroupParent }),
    pull: options.is('pull'),
    noCache: options.isNot('cache')
      ? 'all'
      : options.list('noCacheFilter').flatMap((v) => v.split(',')),
  });
}

/** A build whose only base is an OS template, and whose Dockerfile says no more than that. */
export async function composeRequest(
  io: Io,
  template: string,
  options: Options,
  world: RequestWorld,
): Promise<Result<BuildRequest>> {
  const parsed = parseFlags(io, options);
  if (!parsed.ok) return parsed;
  const dir = world.resources.use(await TempDir.create(storePaths(world.root).tmp, 'context-'));
  const context = openLocalSource(dir.path, {
    clock: io.clock,
    indexDir: storePaths(world.root).contexts,
  });
  if (!context.ok) return context;
  return ok({
    ...parsed.value,
    name: parsed.value.tags[0] ?? template,
    dockerfile: { kind: 'text', text: `FROM ${ROOT}\n`, shown: template },
    context: context.value,
    contextKind: 'none',
    namedContexts: new Map([[ROOT, { kind: 'template', file: template }]]),
    pull: false,
    noCache: options.isNot('cache') ? 'all' : [],
  });
}

/** Name under which the template is the base. */
const ROOT = 'template';

type Places = Pick<BuildRequest, 'dockerfile' | 'context' | 'contextKind' | 'remote'>;

async function openPlaces(
  io: Io,
  given: string | undefined,
  options: Options,
  world: RequestWorld,
): Promise<Result<Places>> {
  const { root, resources } = world;
  const deps = { clock: io.clock, indexDir: storePaths(root).contexts };
  const file = options.text('file');
  if (given === undefined)
    return err(
      failure('CL007', 2, 'the build context is missing', {
        help: 'write "varve build ." for the current directory',
      }),
    );
  if (given === '-' && file === '-')
    return err(
      failure('CL007', 2, "can't use stdin for both build context and dockerfile", {
        help: 'give the context as a directory, or put the Dockerfile into the archive and name it with -f',
      }),
    );
  const address = remoteAddress(given);
  if (address !== undefined) return await openRemote(io, address, file);
  if (given === '-') {
    const { readStdinContext } = await import('./stdin-context.ts');
    return await readStdinContext(io, { file, root, deps, resources });
  }
  const context = openLocalSource(resolve(io.cwd, given), deps);
  if (!context.ok) return shownAs(context.error, resolve(io.cwd, given), given);
  if (file === '-') {
    const { readText } = await import('./stdin-context.ts');
    const text = await readText(io);
    if (!text.ok) return text;
    const dockerfile: DockerfileLocation = { kind: 'text', text: text.value, shown: 'Dockerfile' };
    return ok({ dockerfile, context: context.value, contextKind: 'directory' });
  }
  const path =
    file === undefined ? join(resolve(io.cwd, given), 'Dockerfile') : resolve(io.cwd, file);
  const dir = openLocalSource(dirname(path), deps);
  if (!dir.ok)
    return err(
      failure(
        'DF001',
        2,
        `failed to read dockerfile: open ${file ?? path}: no such file or directory`,
        {
          help: 'name the Dockerfile with -f',
        },
      ),
    );
  const dockerfile: DockerfileLocation = {
    kind: 'file',
    dir: dir.value,
    name: basename(path),
    shown: shownPath(io.cwd, path),
  };
  return ok({ dockerfile, context: context.value, contextKind: 'directory' });
}
