import { err, failure, ok, type Result } from '../base/index.ts';
import {
  type ArchiveTarget,
  type ExtraFile,
  type ImageResult,
  makeImage,
  type OutputTree,
  pushImage,
  storeImage,
  writeArchive,
  writeTreeFile,
  writeTreeLocal,
  writeTreeTar,
} from '../export/index.ts';
import type { ExportContext, ImageDeps, ImageParts } from '../image/index.ts';
import type { Platform } from '../oci/index.ts';
import type { ImageDb, LayerChain, Registry, TreeProvider } from '../ports/index.ts';
import type { Attester } from './attester.ts';
import { imageOptions } from './image-options.ts';
import { internalVertex, type StepReport } from './internal-step.ts';
import type { OutputSpec } from './request.ts';

/** The result of one platform. */
export interface PlatformResult {
  readonly chain: LayerChain;
  readonly platform: Platform;
  readonly parts: ImageParts;
  readonly epoch?: number;
}

/** What writing outputs needs. */
export interface OutputDeps extends ImageDeps {
  readonly images: ImageDb;
  readonly registry: Registry;
  readonly trees: TreeProvider;
  /** Takes a result that goes to standard output. */
  readonly writeOut: (data: AsyncIterable<Uint8Array>) => Promise<void>;
  /** Hands a Docker archive to the Docker engine, when this machine has its client. */
  readonly loadDocker: (
    data: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ) => Promise<Result<'loaded' | 'absent'>>;
}

/** What was written. */
export interface Written {
  readonly image?: ImageResult;
  /** What was pushed. */
  readonly pushed?: readonly ImageResult[];
  /** What `--metadata-file` says. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Image configurations of the platforms, without history and layers. */
  readonly configs?: readonly unknown[];
}

interface Export {
  readonly deps: OutputDeps;
  readonly report: StepReport & { readonly signal: AbortSignal };
  readonly results: readonly PlatformResult[];
  readonly tags: readonly string[];
  /** Says what is attached to the results. */
  readonly attester?: Attester;
}

/** Writes the results of all platforms in every way that was asked for, one after the other. */
export async function writeOutputs(
  what: Export,
  outputs: readonly OutputSpec[],
): Promise<Result<Written>> {
  let written: Written = { metadata: {} };
  for (const output of outputs) {
    if (output.type === 'cacheonly') continue;
    const done =
      output.type === 'tar' || output.type === 'local'
        ? await writeTrees(what, output)
        : output.type === 'file'
          ? await writeFile(what, output)
          : await writeImage(what, output);
    if (!done.ok) return done;
    written = {
      ...written,
      ...done.value,
      pushed: [...(written.pushed ?? []), ...(done.value.pushed ?? [])],
      metadata: { ...written.metadata, ...done.value.metadata },
    };
  }
  return ok(written);
}

const TITLES: Readonly<Record<OutputSpec['type'], string>> = {
  image: 'exporting to image',
  registry: 'exporting to image',
  oci: 'exporting to oci image format',
  docker: 'exporting to docker image format',
  local: 'exporting to client directory',
  tar: 'exporting to client tarball',
  file: 'exporting file',
  // Nothing is written, so nothing is shown.
  cacheonly: '',
};

async function writeImage(what: Export, output: OutputSpec): Promise<Result<Written>> {
  const { deps, report, tags, results, attester } = what;
  const options = imageOptions(output, results[0]?.epoch);
  if (!options.ok) return options;
  const named = output.attrs.get('name');
  const names = named === undefined ? tags : named.split(',');
  const pushes = output.type === 'registry' || output.attrs.get('push') === 'true';
  if (pushes && names.length === 0)
    return err(
      failure('EX002', 2, 'an image without a name cannot be pushed', {
        help: 'name it with -t registry/name:tag',
      }),
    );
  return await internalVertex(report, TITLES[output.type], async (step) => {
    const context: ExportContext = { signal: report.signal, emit: report.emit, vertex: step.op };
    step.status('exporting layers');
    const attach = output.type === 'docker' ? undefined : attester?.image(context);
    const made = await makeImage(
      deps,
      results.map((r) => r.parts),
      { ...options.value, names, ...(attach === undefined ? {} : { attach }) },
      context,
    );
    if (!made.ok) return made;
    step.done('exporting layers');
    for (const { descriptor } of made.value.attestations)
      step.done(`exporting attestation manifest ${descriptor.digest}`);
    if (output.type === 'docker' && attester !== undefined)
      step.done('no attestations: the Docker engine takes an image of one manifest');
    step.done(`exporting manifest ${made.value.target.digest}`);
    const keep = (): void => {
      storeImage(deps, made.value);
      for (const name of made.value.names) step.done(`naming to ${name}`);
    };
    const target = archiveTarget(output, deps);
    if (target !== undefined) {
      const format = output.type === 'docker' ? 'docker' : 'oci';
      step.status('sending tarball');
      const sent = await writeArchive(deps, made.value, { format, to: target }, context);
      if (!sent.ok) return sent;
      step.done('sending tarball');
    } else if (output.type === 'docker') {
      keep();
      const loaded = await load(deps, made.value, context);
      if (!loaded.ok) return loaded;
      const absent = 'no Docker client here: the image is in the store of varve only';
      step.done(loaded.value === 'loaded' ? 'loading into the Docker engine' : absent);
    } else keep();
    if (pushes) {
      const pushed = await pushImage(deps, made.value, context);
      if (!pushed.ok) return pushed;
    }
    return ok({
      image: made.value,
      metadata: made.value.metadata,
      ...(pushes ? { pushed: [made.value] } : {}),
    });
  });
}

/** Undefined for results that stay in the store. */
function archiveTarget(
  output: OutputSpec,
  deps: Pick<OutputDeps, 'writeOut'>,
): ArchiveTarget | undefined {
  if (output.type !== 'oci' && output.type !== 'docker') return undefined;
  const { dest, type, attrs } = output;
  if (dest === '-') return { kind: 'stream', write: deps.writeOut };
  if (dest === undefined)
    return type === 'oci' ? { kind: 'stream', write: deps.writeOut } : undefined;
  return { kind: attrs.get('tar') === 'false' ? 'directory' : 'file', path: dest };
}

async function load(
  deps: OutputDeps,
  image: ImageResult,
  context: ExportContext,
): Promise<Result<'loaded' | 'absent'>> {
  const loads: Result<'loaded' | 'absent'>[] = [];
  const to: ArchiveTarget = {
    kind: 'stream',
    write: async (data) => {
      loads.push(await deps.loadDocker(data, context.signal));
    },
  };
  const written = await writeArchive(deps, image, { format: 'docker', to }, context);
  const [loaded] = loads;
  // What the engine says explains a pipe that broke.
  if (loaded?.ok === false || written.ok) return loaded ?? ok('absent');
  return written;
}

async function writeTrees(what: Export, output: OutputSpec): Promise<Result<Written>> {
  const { deps, report, results } = what;
  const { dest = '-' } = output;
  const given = output.attrs.get('platform-split');
  const splits = given === undefined ? results.length > 1 : given === 'true';
  return await internalVertex(report, TITLES[output.type], async (step) => {
    const context = { signal: report.signal, emit: report.emit, vertex: step.op };
    const trees: OutputTree[] = [];
    for (const result of results) {
      const tree = await deps.trees.tree(result.chain, context);
      if (!tree.ok) return tree;
      const { os, architecture, variant } = result.platform;
      const prefix = [os, architecture, variant].filter((p) => p !== undefined).join('_');
      const files = await what.attester?.files(result, tree.value, report.signal);
      if (files?.ok === false) return files;
      // Platforms in one directory have their own documents all the same.
      const own = results.length > 1 && !splits ? `.${prefix}` : '';
      trees.push({
        tree: tree.value,
        ...(splits ? { prefix } : {}),
        ...(files === undefined ? {} : { extra: files.value.map((file) => named(file, own)) }),
      });
    }
    const epoch = results[0]?.epoch;
    const options = { signal: report.signal, ...(epoch === undefined ? {} : { epoch }) };
    const line = output.type === 'local' ? 'copying files' : 'sending tarball';
    step.status(line);
    const target =
      dest === '-'
        ? ({ kind: 'stream', write: deps.writeOut } as const)
        : ({ kind: 'file', path: dest } as const);
    const written =
      output.type === 'local'
        ? await writeTreeLocal(trees, dest, options)
        : await writeTreeTar(trees, target, options);
    if (!written.ok) return written;
    step.done(line);
    return ok({ metadata: {} });
  });
}

/** `provenance.json` as `provenance.linux_arm64.json`. */
const named = (file: ExtraFile, suffix: string): ExtraFile => ({
  ...file,
  name: file.name.replace(/(\.[^.]*)?$/, `${suffix}$1`),
});

/** One file of the only result (`type=file`), as a disk image: holes stay holes. */
async function writeFile(what: Export, output: OutputSpec): Promise<Result<Written>> {
  const { deps, report, results } = what;
  const [result] = results;
  const path = output.attrs.get('path') ?? '';
  if (result === undefined || results.length > 1)
    return err(failure('EX004', 2, `${path}: a file is written of one platform only`));
  return await internalVertex(report, `${TITLES.file} ${path}`, async (step) => {
    const context = { signal: report.signal, emit: report.emit, vertex: step.op };
    const tree = await deps.trees.tree(result.chain, context);
    if (!tree.ok) return tree;
    const to =
      output.dest === undefined || output.dest === '-'
        ? ({ kind: 'stream', write: deps.writeOut } as const)
        : ({ kind: 'file', path: output.dest } as const);
    const written = await writeTreeFile(
      { tree: tree.value, path, memo: deps.memo },
      to,
      report.signal,
    );
    if (!written.ok) return written;
    step.done('copying file', { current: written.value });
    return ok({ metadata: {} });
  });
}
