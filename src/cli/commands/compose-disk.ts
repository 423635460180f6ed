import { resolve } from 'node:path';
import { err, failure, ok, type Result, TempDir } from '../../base/index.ts';
import type { BuildRequest, NamedContext } from '../../build/index.ts';
import { openLocalSource } from '../../context/index.ts';
import {
  BOOT_STAGE,
  type BootTest,
  CONTEXTS,
  DISK_STAGE,
  type DiskFormat,
  type DiskPlan,
  diskStages,
  formatStage,
  layOut,
  PACKAGES_STAGE,
  passwordSecret,
  SIGNING_KEY,
  TREE_STAGE,
} from '../../disk/index.ts';
import { type OsRoots, osRoots } from '../../template/index.ts';
import { composeRequest, type Options } from '../build-request.ts';
import { canBeMade, formatsFit } from '../compose/can-be-made.ts';
import { providerId, useChroots } from '../compose/chroots.ts';
import {
  artifactFormats,
  diskOutput,
  ROOT_STAGE,
  type StageOutput,
} from '../compose/disk-outputs.ts';
import { contextName, givenTemplates, ROOTS } from '../compose/given-templates.ts';
import { writeInventory } from '../compose/inventory.ts';
import { type LoadedTemplate, loadOsTemplate } from '../compose/load-template.ts';
import { writeLocks } from '../compose/lock-file.ts';
import { stageSigning } from '../compose/signing.ts';
import { stageFiles } from '../compose/stage-files.ts';
import { verifyTree } from '../compose/verify-tree.ts';
import { fail, type Io } from '../io.ts';
import { type Store, storePaths } from '../store.ts';
import { runBuild } from './build.ts';

/** `varve compose` of a template for a disk: one build for each result, all of one graph. */
export async function composeDisk(
  io: Io,
  store: Store,
  work: {
    readonly file: string;
    readonly options: Options;
    readonly resources: AsyncDisposableStack;
  },
): Promise<number> {
  const { options } = work;
  const loaded = loadOsTemplate(io, work.file);
  if (!loaded.ok) return fail(io, loaded.error);
  const planned = planDisk(io, loaded.value, options);
  if (!planned.ok) return fail(io, planned.error);
  const { plan, outputs, roots } = planned.value;
  const { path: dir } = work.resources.use(
    await TempDir.create(storePaths(store.root).tmp, 'os-files-'),
  );
  const files = stageFiles(loaded.value, dir);
  if (!files.ok) return fail(io, files.error);
  const signing = stageSigning(loaded.value, dir);
  if (!signing.ok) return fail(io, signing.error);
  const templates = givenTemplates(io, { file: work.file, roots, options });
  if (!templates.ok) return fail(io, templates.error);
  const begun = await beginWithChroots(io, store, {
    ...work,
    ...{ provider: providerId(plan.template), given: templates.value.given },
  });
  if (!begun.ok) return fail(io, begun.error);
  const request = await stagesRequest(io, store, {
    ...work,
    dir,
    text: diskStages({
      ...plan,
      files: files.value,
      ...(signing.value === undefined ? {} : { signing: signing.value.plan }),
    }),
    ...(signing.value === undefined ? {} : { key: signing.value.key }),
  });
  if (!request.ok) return fail(io, request.error);
  const run = async (
    stage: string,
    wanted: BuildRequest['outputs'],
    clean = options.is('clean'),
  ): Promise<number> =>
    await runBuild(io, store, {
      ...work,
      request: {
        ...request.value,
        ...(clean ? { noCache: 'all' } : {}),
        ...{ target: stage, outputs: wanted },
      },
      templates: { ...templates.value.given, clean },
    });
  if (options.is('verify'))
    return await verifyTree(io, store, async (wanted, clean) => run(TREE_STAGE, wanted, clean));
  for (const [stage, wanted] of byStage(outputs, plan)) {
    const code = await run(stage, wanted);
    if (code !== 0) return code;
  }
  const listed = await writeInventory(io, store, {
    options,
    subject: { ...plan.template.image, distribution: plan.provider.distribution },
    format: plan.provider.format,
    fetch: async (wanted) => await run(PACKAGES_STAGE, wanted),
  });
  if (listed !== 0) return listed;
  const lock = options.text('lock');
  if (lock !== undefined && !options.is('frozen'))
    await writeLocks(io, lock, templates.value.locks);
  return 0;
}

/** `--chroot`: roots of tools out of files. */
async function beginWithChroots(
  io: Io,
  store: Store,
  work: Omit<Parameters<typeof useChroots>[2], 'paths'>,
): Promise<Result<void>> {
  const paths = work.options.list('chroot');
  if (paths.length === 0) return ok(undefined);
  if (work.options.is('clean') || work.options.isNot('cache'))
    return err(failure('CL002', 2, '--chroot: a build from nothing begins with no root of tools'));
  return await useChroots(io, store, { ...work, paths });
}

/** The outputs of each stage; a boot test and what only has to be made have none. */
function byStage(
  outputs: readonly StageOutput[],
  plan: DiskPlan,
): ReadonlyMap<string, BuildRequest['outputs']> {
  const stages = new Map<string, BuildRequest['outputs'][number][]>();
  for (const { stage, output } of outputs)
    stages.set(stage, [...(stages.get(stage) ?? []), output]);
  if (outputs.length === 0) for (const format of plan.formats) stages.set(formatStage(format), []);
  if (stages.size === 0) stages.set(DISK_STAGE, []);
  if (plan.boot !== undefined) stages.set(BOOT_STAGE, []);
  return stages;
}

interface Planned {
  readonly plan: Omit<DiskPlan, 'files'> & { readonly files: ReadonlyMap<string, string> };
  readonly outputs: readonly StageOutput[];
  readonly roots: OsRoots;
}

function planDisk(io: Io, loaded: LoadedTemplate, options: Options): Result<Planned> {
  const { template, provider } = loaded;
  const roots = osRoots(template, provider);
  if (!roots.ok) return roots;
  const possible = canBeMade(loaded);
  if (!possible.ok) return possible;
  const layout = layOut(template);
  if (!layout.ok) return layout;
  const image = options.list('tag').length > 0 || options.is('push');
  const outputs: StageOutput[] =
    image && options.list('output').length === 0
      ? [{ stage: ROOT_STAGE, output: { type: 'image', attrs: new Map() } }]
      : [];
  for (const text of options.list('output')) {
    const output = diskOutput(io, text);
    if (!output.ok) return output;
    outputs.push(output.value);
  }
  const artifacts = artifactFormats(template.disk?.artifacts ?? []);
  const formats = outputs.length === 0 ? artifacts : outputs.flatMap((o) => o.format ?? []);
  const boot = bootTest(options);
  if (!boot.ok) return boot;
  const fitting = formatsFit(loaded, formats);
  if (!fitting.ok) return fitting;
  return ok({
    plan: {
      template,
      provider,
      layout: layout.value,
      formats: distinct(formats),
      files: new Map(),
      ...(boot.value === undefined ? {} : { boot: boot.value }),
    },
    outputs,
    roots: roots.value,
  });
}

/** A compressed form needs the stage of the plain one, which is made once. */
function distinct(formats: readonly DiskFormat[]): readonly DiskFormat[] {
  const map = new Map<string, DiskFormat>();
  for (const format of formats) {
    const key = `${format.kind} ${format.compression ?? ''}`;
    map.set(key, format);
  }
  return [...map.values()];
}

/** Seconds that a boot test may take: emulation is slow. */
const BOOT_TIMEOUT_S = 600;

function bootTest(options: Options): Result<BootTest | undefined> {
  const mode = options.text('bootTest') ?? (options.is('bootTest') ? 'efi' : undefined);
  if (mode === undefined) return ok(undefined);
  if (mode !== 'efi' && mode !== 'direct')
    return err(
      failure('CL002', 2, `--boot-test: unknown mode "${mode}"`, { help: 'known: efi, direct' }),
    );
  const timeoutS = Number(options.text('bootTimeout') ?? BOOT_TIMEOUT_S);
  if (!Number.isInteger(timeoutS) || timeoutS <= 0)
    return err(failure('CL002', 2, '--boot-timeout: expected whole seconds'));
  return ok({ mode, marker: options.text('bootMarker') ?? 'login:', timeoutS });
}

async function stagesRequest(
  io: Io,
  store: Store,
  work: {
    readonly file: string;
    readonly options: Options;
    readonly resources: AsyncDisposableStack;
    readonly dir: string;
    readonly text: string;
    /** For Secure Boot. */
    readonly key?: Uint8Array;
  },
): Promise<Result<BuildRequest>> {
  const { file, options, resources, dir, text } = work;
  const base = await composeRequest(io, file, options.without('output'), {
    root: store.root,
    resources,
  });
  if (!base.ok) return base;
  const files = openLocalSource(dir, {
    clock: io.clock,
    indexDir: storePaths(store.root).contexts,
  });
  if (!files.ok) return files;
  const loaded = loadOsTemplate(io, resolve(io.cwd, file));
  if (!loaded.ok) return loaded;
  const own = new Map<string, Uint8Array>(
    loaded.value.template.users.flatMap(({ value: { name, password } }) =>
      password === undefined ? [] : [[passwordSecret(name), Buffer.from(password)] as const],
    ),
  );
  if (work.key !== undefined) own.set(SIGNING_KEY, work.key);
  const contexts = ([...ROOTS, 'kernel'] as const).map((root): readonly [string, NamedContext] => [
    CONTEXTS[root],
    { kind: 'template', file: contextName(file, root) },
  ]);
  const { secrets } = base.value;
  return ok({
    ...base.value,
    dockerfile: { kind: 'text', text, shown: `${file} (stages)` },
    namedContexts: new Map([...contexts, [CONTEXTS.files, { kind: 'local', source: files.value }]]),
    secrets: {
      ...secrets,
      secret: async (id, signal) => own.get(id) ?? (await secrets.secret(id, signal)),
    },
  });
}
