import { resolve } from 'node:path';
import { awaitAll, err, failure, ok, type Result, Semaphore } from '../base/index.ts';
import {
  type BuildDeps,
  type BuildEdge,
  type BuildRequest,
  type NamedContext,
  type ProjectReport,
  projectBuilds,
  type StackImage,
} from '../build/index.ts';
import type { BuiltImage } from '../image/index.ts';
import type { TargetSpec } from '../project/index.ts';
import { buildRequest, Options } from './build-request.ts';
import { type Io, withMembers } from './io.ts';
import type { OpenProject } from './project-world.ts';

/** What targets are built with. */
export interface TargetWork {
  readonly open: OpenProject;
  readonly targets: readonly TargetSpec[];
  readonly options: Options;
  readonly deps: BuildDeps;
  readonly edge: BuildEdge;
  readonly resources: AsyncDisposableStack;
  readonly root: string;
  /** Images of the project that targets may begin with. */
  readonly report: ProjectReport;
  readonly jobs: number;
}

/** Builds targets, independent ones at once; each is what `varve build` with the same flags builds. */
export async function bakeTargets(io: Io, work: TargetWork): Promise<Result<void>> {
  const slots = new Semaphore(work.jobs);
  const wanted = new Set(work.targets.flatMap((target) => Object.values(target.contexts)));
  const started = new Map<string, Promise<Result<readonly StackImage[]>>>();
  for (const target of work.targets) {
    const run = async (): Promise<Result<readonly StackImage[]>> => {
      const contexts = await contextsOf(work, target, started);
      if (!contexts.ok) return contexts;
      return await slots.run(work.edge.signal, async () => {
        const request = await targetRequest(io, work, target);
        if (!request.ok) return request;
        const namedContexts = new Map([...request.value.namedContexts, ...contexts.value]);
        const done = await (await projectBuilds()).buildTarget(
          { ...request.value, namedContexts },
          work.deps,
          {
            ...work.edge,
            keep: wanted.has(`target:${target.name}`),
          },
        );
        return done.ok ? ok(done.value.images) : done;
      });
    };
    started.set(target.name, run());
  }
  const done = await awaitAll(started.values());
  const failures = done.flatMap((result) => (result.ok ? [] : [result.error]));
  const [first, ...also] = failures;
  return first === undefined ? ok(undefined) : err(also.length === 0 ? first : { ...first, also });
}

/** Images of this run as a context. */
async function stackOf(
  deps: BuildDeps,
  built: readonly BuiltImage[],
): Promise<Result<readonly StackImage[]>> {
  const images: StackImage[] = [];
  for (const each of built) {
    const found = await (await projectBuilds()).foundImageOf(deps, each);
    if (!found.ok) return found;
    images.push({ image: found.value, platform: each.platform });
  }
  return ok(images);
}

/** The contexts that are results of this run. */
async function contextsOf(
  { report, deps }: TargetWork,
  target: TargetSpec,
  started: ReadonlyMap<string, Promise<Result<readonly StackImage[]>>>,
): Promise<Result<ReadonlyMap<string, NamedContext>>> {
  const contexts = new Map<string, NamedContext>();
  for (const [name, where] of Object.entries(target.contexts)) {
    const [, kind, other = ''] = /^(target|image):(.+)$/.exec(where) ?? [];
    if (kind === undefined) continue;
    const built = report.images.find(({ image }) => image === other)?.result?.images ?? [];
    const images = kind === 'target' ? await started.get(other) : await stackOf(deps, built);
    if (images?.ok === false) return images;
    if (images === undefined || images.value.length === 0)
      return err(
        failure('PJ013', 1, `target "${target.name}" was not built: ${where} has no result`),
      );
    contexts.set(name, { kind: 'stack', images: images.value });
  }
  return ok(contexts);
}

/** The limits of steps hold for those of targets as for those of layers. */
function limitsIn(options: Options): Readonly<Record<string, unknown>> {
  const names = ['memory', 'memorySwap', 'cpus', 'cpusetCpus', 'pidsLimit', 'stepTimeout'];
  const single = names.map((name) => [name, options.text(name)] as const);
  return { ...Object.fromEntries(single), stepLimit: options.list('stepLimit') };
}

async function targetRequest(
  io: Io,
  { open, options, resources, root }: TargetWork,
  target: TargetSpec,
): Promise<Result<BuildRequest>> {
  const { dir } = open;
  const pairs = (map: Readonly<Record<string, string | null>>): readonly string[] =>
    Object.entries(map).map(([key, value]) => (value === null ? key : `${key}=${value}`));
  const inline = target.dockerfileInline;
  const values = {
    tag: target.tags,
    target: target.target,
    buildArg: pairs(target.args),
    buildContext: pairs(target.contexts).filter((pair) => !/^[^=]+=(?:target|image):/.test(pair)),
    label: pairs(target.labels),
    platform: options.list('platform').length > 0 ? options.list('platform') : target.platforms,
    cacheFrom: target.cacheFrom,
    cacheTo: target.cacheTo,
    output: target.output,
    secret: target.secret,
    ssh: target.ssh,
    ulimit: target.ulimits,
    ...limitsIn(options),
    annotation: target.annotations,
    attest: target.attest,
    provenance: options.text('provenance'),
    sbom: options.text('sbom'),
    allow: target.entitlements,
    addHost: target.extraHosts,
    network: target.network,
    shmSize: target.shmSize,
    noCacheFilter: target.noCacheFilter,
    cache: !(target.noCache || options.isNot('cache')),
    pull: target.pull || options.is('pull'),
    push: options.is('push'),
    load: options.is('load'),
    file:
      target.dockerfile === undefined || inline !== undefined
        ? undefined
        : resolve(dir, target.context, target.dockerfile),
  };
  const request = await buildRequest(
    withMembers(io, { cwd: dir }),
    target.context,
    new Options(values),
    {
      root,
      resources,
    },
  );
  if (!request.ok) return request;
  return ok({
    ...request.value,
    name: request.value.tags[0] ?? target.name,
    ...(inline === undefined
      ? {}
      : {
          dockerfile: {
            kind: 'text',
            text: inline,
            shown: `${open.project.file.path} (${target.name})`,
          },
        }),
  });
}
