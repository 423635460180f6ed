import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { err, failure, isErrno, ok, type Result, writeAtomically } from '../../base/index.ts';
import {
  type BuildDeps,
  type BuildRequest,
  makeRootSnapshot,
  snapshotFile,
} from '../../build/index.ts';
import { CONTEXTS } from '../../disk/index.ts';
import { osRoots, type RootSnapshot } from '../../template/index.ts';
import { composeRequest, Options } from '../build-request.ts';
import {
  lockOfRoot,
  providerId,
  snapshotName,
  TOOL_ROOTS,
  type ToolRoot,
} from '../compose/chroots.ts';
import { contextName, givenTemplates } from '../compose/given-templates.ts';
import { loadOsTemplate } from '../compose/load-template.ts';
import { withSettings } from '../compose/settings.ts';
import { fail, type Io, printJson, table } from '../io.ts';
import { formatBytes } from '../progress/text.ts';
import { openStore, type Store } from '../store.ts';
import { runBuild } from './build.ts';

/** What is wanted of a template's tools. */
interface Wanted {
  readonly file: string;
  readonly provider: string;
  readonly roots: readonly ToolRoot[];
  /** Where the file of a root goes; undefined: the store keeps it, and no file is written. */
  readonly pathOf: (root: ToolRoot) => string | undefined;
}

interface Made extends RootSnapshot {
  readonly path?: string;
}

/**
 * `varve compose chroot TEMPLATE`: the roots in which the tools of a template's distribution run, as tars in zstd. They are
 * those that a compose uses: made once, kept in the store, and the same bytes on every machine.
 */
export async function composeChroot(
  outer: Io,
  file: string,
  values: Readonly<Record<string, unknown>>,
): Promise<number> {
  const options = new Options(values);
  const settings = withSettings(outer, options);
  if (!settings.ok) return fail(outer, settings.error);
  const io = settings.value;
  const loaded = loadOsTemplate(io, file);
  if (!loaded.ok) return fail(io, loaded.error);
  const { template, provider } = loaded.value;
  const roots = osRoots(template, provider);
  if (!roots.ok) return fail(io, roots.error);
  const known = givenTemplates(io, { file, roots: roots.value, options });
  if (!known.ok) return fail(io, known.error);
  const { given } = known.value;
  const there = TOOL_ROOTS.filter((root) => {
    const name = contextName(file, root);
    return given.templates.has(name) || given.parts.has(name);
  });
  const wanted = wantedOf(io, options, { file, provider: providerId(template), there });
  if (!wanted.ok) return fail(io, wanted.error);
  await using resources = new AsyncDisposableStack();
  const opened = openStore(io);
  if (!opened.ok) return fail(io, opened.error);
  const store = resources.use(opened.value);
  const made: Made[] = [];
  for (const root of wanted.value.roots) {
    const code = await makeOne(io, store, {
      ...{ root, wanted: wanted.value, options, resources, given },
      done: (one) => made.push(one),
    });
    if (code !== 0) return code;
  }
  if (options.is('json'))
    printJson(io, {
      chroots: made.map(({ packages, blob, times: _, ...one }) => ({
        ...{ ...one, digest: blob.digest, size: blob.size },
        packages: packages.map((p) => ({ ...p })),
      })),
    });
  else io.out(text(made));
  return 0;
}

function wantedOf(
  io: Io,
  options: Options,
  known: { readonly file: string; readonly provider: string; readonly there: readonly ToolRoot[] },
): Result<Wanted> {
  const { there, ...what } = known;
  const asked = options.list('root').flatMap((text) => text.split(','));
  const unknown = asked.find((name) => !there.some((root) => root === name));
  if (unknown !== undefined)
    return err(
      failure('CL002', 2, `--root: the template has no ${unknown} tools`, {
        help: `it has: ${there.join(', ')}`,
      }),
    );
  const output = options.text('output');
  const dir = output !== undefined && isDirectory(io, output);
  const single: readonly ToolRoot[] = ['disk'];
  const roots =
    asked.length > 0
      ? there.filter((root) => asked.includes(root))
      : output === undefined || dir
        ? there.filter((root) => root !== 'boot')
        : single;
  if (output !== undefined && !dir && roots.length > 1)
    return err(
      failure('CL002', 2, `--output: ${roots.length} roots do not go into one file`, {
        help: 'name a directory, with a slash at its end',
      }),
    );
  const pathOf = (root: ToolRoot): string | undefined =>
    output === undefined
      ? undefined
      : dir
        ? join(resolve(io.cwd, output), snapshotName(what.provider, root))
        : resolve(io.cwd, output);
  return ok({ ...what, roots, pathOf });
}

const isDirectory = (io: Io, path: string): boolean =>
  path.endsWith('/') ||
  statSync(resolve(io.cwd, path), { throwIfNoEntry: false })?.isDirectory() === true;

async function makeOne(
  io: Io,
  store: Store,
  work: {
    readonly root: ToolRoot;
    readonly wanted: Wanted;
    readonly options: Options;
    readonly resources: AsyncDisposableStack;
    readonly given: Parameters<typeof runBuild>[2]['templates'];
    readonly done: (made: Made) => void;
  },
): Promise<number> {
  const { root, wanted, resources, given } = work;
  const { file, provider } = wanted;
  const options = work.options.without('output').without('json');
  const request = await composeRequest(io, file, options, { root: store.root, resources });
  if (!request.ok) return fail(io, request.error);
  const base = { kind: 'template', file: contextName(file, root) } as const;
  const own: BuildRequest = {
    ...request.value,
    dockerfile: { kind: 'text', text: `FROM ${CONTEXTS[root]}\n`, shown: `${file} (${root})` },
    namedContexts: new Map([[CONTEXTS[root], base]]),
    outputs: [],
  };
  return await runBuild(io, store, {
    ...{ request: own, options, resources },
    ...(given === undefined ? {} : { templates: given }),
    take: async (results, { deps, outputs, signal }) => {
      const lock = await lockOfRoot(file, root, { deps, signal });
      if (!lock.ok) return lock;
      const what = { provider, root, lock: lock.value };
      const made = await makeRootSnapshot(what, results, { deps, outputs, signal });
      if (!made.ok) return made;
      const path = wanted.pathOf(root);
      const written =
        path === undefined ? ok(undefined) : await write(path, made.value, deps, signal);
      if (written.ok) work.done({ ...made.value, ...(path === undefined ? {} : { path }) });
      return written;
    },
  });
}

async function write(
  path: string,
  snapshot: RootSnapshot,
  deps: BuildDeps,
  signal: AbortSignal,
): Promise<Result<void>> {
  try {
    await writeAtomically(path, snapshotFile(snapshot, deps.content, signal));
    return ok(undefined);
  } catch (e) {
    if (!isErrno(e, 'EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EISDIR', 'ENOSPC')) throw e;
    return err(failure('EX001', 3, `writing ${path}: ${e.code ?? ''}`, { cause: e }));
  }
}

function text(made: readonly Made[]): string {
  const rows = made.map(({ root, packages, blob, key, path }) => [
    ...[root, String(packages.length), formatBytes(blob.size)],
    ...[key.slice(0, 19), blob.digest.slice(0, 19), path ?? 'in the store'],
  ]);
  return table([['ROOT', 'PACKAGES', 'SIZE', 'KEY', 'DIGEST', 'FILE'], ...rows]);
}
