import { arch } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { err, failure, ok, type Result, TempDir } from '../base/index.ts';
import type { BuildRequest, DockerfileLocation, OutputSpec } from '../build/index.ts';
import { openLocalSource } from '../context/index.ts';
import { hostPlatform, normaliseReference } from '../oci/index.ts';
import { cacheFromFlag, cacheToFlag } from './flags/cache.ts';
import { usage } from './flags/csv.ts';
import { buildLimits, limitsByName, stepLimits } from './flags/limits.ts';
import { outputFlag } from './flags/output.ts';
import { secretFlag, sshFlag } from './flags/secrets.ts';
import { byteSize, extraHost, keyValues, platform, ulimit } from './flags/values.ts';
import { branchOf } from './git-branch.ts';
import type { Io } from './io.ts';
import { namedContexts } from './named-contexts.ts';
import { openRemote, remoteAddress } from './remote-address.ts';
import { openSecrets } from './secrets.ts';
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

type Flags = Pick<
  BuildRequest,
  | 'buildArgs'
  | 'labels'
  | 'platforms'
  | 'extraHosts'
  | 'network'
  | 'entitlements'
  | 'ulimits'
  | 'limits'
  | 'limitsByName'
  | 'buildLimits'
  | 'secrets'
  | 'tags'
  | 'outputs'
  | 'cacheFrom'
  | 'cacheTo'
  | 'shmSize'
>;

function parseFlags(io: Io, options: Options): Result<Flags> {
  // As docker buildx does; what is said on the command line comes later and wins.
  const epoch = (io.env['SOURCE_DATE_EPOCH'] ?? '') === '' ? [] : ['SOURCE_DATE_EPOCH'];
  const given = [...epoch, ...options.list('buildArg')];
  const buildArgs = keyValues('--build-arg', given, io.env);
  if (!buildArgs.ok) return buildArgs;
  const labels = keyValues('--label', options.list('label'), undefined);
  if (!labels.ok) return labels;
  const platforms = all(
    options.list('platform').flatMap((v) => v.split(',')),
    (v) => platform('--platform', v, hostPlatform(arch())),
  );
  if (!platforms.ok) return platforms;
  const extraHosts = all(options.list('addHost'), (v) => extraHost('--add-host', v));
  if (!extraHosts.ok) return extraHosts;
  const ulimits = all(options.list('ulimit'), (v) => ulimit('--ulimit', v));
  if (!ulimits.ok) return ulimits;
  const secretSources = all(options.list('secret'), (v) => secretFlag(v, io.env));
  if (!secretSources.ok) return secretSources;
  const agents = all(options.list('ssh'), sshFlag);
  if (!agents.ok) return agents;
  const secrets = openSecrets(io, secretSources.value, agents.value);
  if (!secrets.ok) return secrets;
  const tags = all(options.list('tag'), imageName);
  if (!tags.ok) return tags;
  const outputs = outputSpecs(io, options);
  if (!outputs.ok) return outputs;
  const cacheFrom = all(options.list('cacheFrom'), (v) => cacheFromFlag(v, io));
  if (!cacheFrom.ok) return cacheFrom;
  const cacheTo = all(options.list('cacheTo'), (v) => cacheToFlag(v, io));
  if (!cacheTo.ok) return cacheTo;
  const network = networkMode(options.text('network'));
  if (!network.ok) return network;
  const entitlements = all(options.list('allow'), entitlement);
  if (!entitlements.ok) return entitlements;
  const limits = stepLimits((name) => options.text(name));
  if (!limits.ok) return limits;
  const together = buildLimits((name) => options.text(name));
  if (!together.ok) return together;
  const byName = all(options.list('stepLimit'), limitsByName);
  if (!byName.ok) return byName;
  const shm = options.text('shmSize');
  const shmSize = shm === undefined ? ok(undefined) : byteSize('--shm-size', shm);
  if (!shmSize.ok) return shmSize;
  return ok({
    buildArgs: buildArgs.value,
    labels: labels.value,
    platforms: platforms.value,
    extraHosts: extraHosts.value,
    ulimits: ulimits.value,
    secrets: secrets.value,
    tags: tags.value,
    outputs: outputs.value,
    cacheFrom: cacheFrom.value.flat(),
    cacheTo: cacheTo.value,
    network: network.value,
    entitlements: entitlements.value,
    limits: limits.value,
    limitsByName: byName.value,
    ...(together.value === undefined ? {} : { buildLimits: together.value }),
    ...(shmSize.value === undefined ? {} : { shmSize: shmSize.value }),
  });
}

function all<T>(
  values: readonly string[],
  parse: (value: string) => Result<T>,
): Result<readonly T[]> {
  const out: T[] = [];
  for (const value of values) {
    const parsed = parse(value);
    if (!parsed.ok) return parsed;
    out.push(parsed.value);
  }
  return ok(out);
}

function imageName(text: string): Result<string> {
  const name = normaliseReference(text);
  if (name.ok) return ok(name.value);
  return usage('--tag', text, 'not an image name', 'write [registry/]name[:tag]');
}

/** What is asked for; without `--output` an image in the store. */
export function outputSpecs(io: Io, options: Options): Result<readonly OutputSpec[]> {
  const outputs = all(options.list('output'), (v) => outputFlag(v, io.cwd));
  if (!outputs.ok) return outputs;
  const specs = [...outputs.value];
  if (options.is('push')) specs.push({ type: 'registry', attrs: new Map() });
  if (options.is('load')) specs.push({ type: 'docker', attrs: new Map([['load', 'true']]) });
  if (specs.length === 0) specs.push({ type: 'image', attrs: new Map() });
  if (specs.filter((s) => s.dest === '-').length > 1)
    return err(failure('CL002', 2, '--output: standard output can take one result only'));
  return ok(specs);
}

function networkMode(text: string | undefined): Result<BuildRequest['network']> {
  switch (text) {
    case undefined:
    case '':
    case 'default':
    case 'sandbox':
      return ok('default');
    case 'none':
    case 'host':
      return ok(text);
    default:
      return usage('--network', text, 'unknown mode', 'known modes: default, none, host');
  }
}

function entitlement(text: string): Result<BuildRequest['entitlements'][number]> {
  if (text === 'network.host' || text === 'security.insecure') return ok(text);
  return usage('--allow', text, 'unknown entitlement', 'known: network.host, security.insecure');
}
