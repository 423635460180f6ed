import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import {
  err,
  type Failure,
  failure,
  hexOf,
  isErrno,
  ok,
  type Result,
  type SourceFile,
  sha256,
} from '../base/index.ts';
import type { BuildDeps, BuildEdge, LayerPlaces, ProjectWorld } from '../build/index.ts';
import { openLocalSource } from '../context/index.ts';
import { normaliseReference } from '../oci/index.ts';
import { createImageResolver } from '../ops/index.ts';
import {
  type BakeOverride,
  layerTag,
  PROJECT_FILES,
  type Project,
  parseBakeFiles,
  parseProjectFile,
} from '../project/index.ts';
import { scopeTag } from '../remotes/index.ts';
import { buildRequest, type Options } from './build-request.ts';
import { type CiScopes, ciScopes } from './flags/cache-scope.ts';
import { positive } from './flags/limits.ts';
import { currentBranch } from './git-commits.ts';
import { type Io, withMembers } from './io.ts';
import { shownPath } from './shown-path.ts';
import { storePaths } from './store.ts';

/** A project file that was read. */
export interface OpenProject {
  readonly project: Project;
  /** The directory that its paths are relative to. */
  readonly dir: string;
}

/**
 * Reads the project files that `-f` names, or the first of the usual ones (a bake file with its override); undefined where
 * there is none.
 */
export function openProject(
  io: Io,
  given: string | readonly string[] | undefined,
  overrides: readonly BakeOverride[] = [],
): Result<OpenProject | undefined> {
  const named = typeof given === 'string' ? [given] : (given ?? []);
  if (named.length > 1) return openBakeFiles(io, named, overrides);
  const [only] = named;
  for (const name of only === undefined ? PROJECT_FILES : [only]) {
    const file = projectFile(io, name);
    if (!file.ok) return file;
    if (file.value === undefined) continue;
    if (only === undefined && name === BAKE_FILE) {
      const over = projectFile(io, BAKE_OVERRIDE);
      if (!over.ok) return over;
      if (over.value !== undefined) return openBakeFiles(io, [name, BAKE_OVERRIDE], overrides);
    }
    const parsed = parseProjectFile(file.value, io.env, overrides);
    return parsed.ok ? ok({ project: parsed.value, dir: dirname(resolve(io.cwd, name)) }) : parsed;
  }
  return only === undefined ? ok(undefined) : err(noProject(only));
}

const BAKE_FILE = 'docker-bake.json';
const BAKE_OVERRIDE = 'docker-bake.override.json';

/** Several bake files, laid over each other; paths are relative to the directory of the first. */
function openBakeFiles(
  io: Io,
  names: readonly string[],
  overrides: readonly BakeOverride[],
): Result<OpenProject> {
  const files: SourceFile[] = [];
  for (const name of names) {
    if (!name.endsWith('.json'))
      return err(
        failure('CL002', 2, `-f ${name}: only bake files in JSON are laid over each other`, {
          help: 'name one file, or several docker-bake.json',
        }),
      );
    const file = projectFile(io, name);
    if (!file.ok) return file;
    if (file.value === undefined) return err(noProject(name));
    files.push(file.value);
  }
  const [first, ...more] = files;
  if (first === undefined) return err(noProject(undefined));
  const parsed = parseBakeFiles([first, ...more], io.env, overrides);
  const dir = dirname(resolve(io.cwd, names[0] ?? '.'));
  return parsed.ok ? ok({ project: parsed.value, dir }) : parsed;
}

function projectFile(io: Io, name: string): Result<SourceFile | undefined> {
  const path = resolve(io.cwd, name);
  const text = readProjectFile(path, name);
  if (!text.ok || text.value === undefined) return text.ok ? ok(undefined) : text;
  return ok({ path: shownPath(io.cwd, path), text: text.value });
}

/** The failure of a command that needs a project file. */
export function noProject(given: string | undefined): Failure {
  const what = given === undefined ? 'there is no project file here' : `there is no file ${given}`;
  return failure('PJ007', 2, what, {
    help: 'write varve.yml, docker-bake.json or compose.yaml, or name one with -f',
  });
}

function readProjectFile(path: string, name: string): Result<string | undefined> {
  try {
    return ok(readFileSync(path, 'utf8'));
  } catch (e) {
    if (isErrno(e, 'ENOENT', 'ENOTDIR')) return ok(undefined);
    if (!isErrno(e, 'EACCES', 'EISDIR')) throw e;
    return err(failure('PJ007', 3, `reading ${name}: ${e.code ?? ''}`, { cause: e }));
  }
}

/** What a project is built with. */
export interface ProjectOpening {
  readonly options: Options;
  readonly deps: BuildDeps;
  readonly edge: BuildEdge;
  readonly root: string;
  readonly resources: AsyncDisposableStack;
}

/** Puts together what building the layers and images of a project needs. */
export async function projectWorld(
  io: Io,
  { project, dir }: OpenProject,
  opening: ProjectOpening,
): Promise<Result<ProjectWorld>> {
  const { options, deps, edge, root } = opening;
  const places = await layerPlaces(io, { project, dir });
  if (!places.ok) return places;
  const jobs = positive('--jobs', options.text('jobs'));
  if (!jobs.ok) return jobs;
  const cacheFrom = [...project.cacheFrom, ...options.list('cacheFrom')];
  const given = options.with({
    cacheFrom,
    file: undefined,
    tag: undefined,
    output: undefined,
    push: false,
    load: false,
  });
  const common = await buildRequest(withMembers(io, { cwd: dir }), '.', given, opening);
  if (!common.ok) return common;
  const outputs = (await import('./request-flags.ts')).outputSpecs(
    withMembers(io, { cwd: dir }),
    options,
  );
  if (!outputs.ok) return outputs;
  const indexDir = storePaths(root).contexts;
  return ok({
    ...{ deps, edge, project, places: places.value, outputs: outputs.value },
    signal: edge.signal,
    common: common.value,
    context: common.value.context,
    resolvePath: (path) => join(dir, path),
    openDirectory: (path) => openLocalSource(path, { clock: io.clock, indexDir }),
    images: createImageResolver(deps),
    jobs: Math.max(1, jobs.value ?? deps.maxParallel),
    pushLayers: project.store.push ?? options.is('push'),
    noCache: options.isNot('cache'),
  });
}

/** Outside of CI the branch that is checked out is the scope. */
async function branchScopes(io: Io, dir: string): Promise<CiScopes | undefined> {
  const branch = await currentBranch(io, dir);
  if (branch === undefined) return undefined;
  const main = io.env['VARVE_CACHE_MAIN'] ?? 'main';
  return { own: branch, fallback: branch === main ? [] : [main] };
}

/** Longer scopes are named by their digest: a tag has 128 characters. */
const MAX_SCOPE = 48;

async function layerPlaces(io: Io, { project, dir }: OpenProject): Promise<Result<LayerPlaces>> {
  const { ref, scope, fallback } = project.store;
  const repository = normaliseReference(ref ?? `varve.invalid/${project.name}`);
  if (!repository.ok)
    return err(
      failure(
        'PJ003',
        2,
        `store.ref: ${JSON.stringify(ref)} is no name of a repository: ${repository.error}`,
        { places: [{ file: project.file, span: project.store.span }] },
      ),
    );
  const name = repository.value.replace(/:[^/]*$/, '');
  const ci = scope === 'auto' ? (ciScopes(io.env) ?? (await branchScopes(io, dir))) : undefined;
  if (scope === 'auto' && ci === undefined)
    return err(
      failure(
        'PJ003',
        2,
        'store.scope: auto needs a branch of git, or GitHub Actions or GitLab CI',
        {
          help: 'write the name of a scope, or check a branch out',
          places: [{ file: project.file, span: project.store.span }],
        },
      ),
    );
  const own = scope === 'auto' ? ci?.own : scope;
  const all = [own, ...(fallback.length > 0 ? fallback : (ci?.fallback ?? []))];
  const tags = [...new Set(all.map((each) => (each === undefined ? undefined : shortScope(each))))];
  return ok({
    remote: ref !== undefined,
    own: (layer, key) => `${name}:${layerTag(layer, key, tags[0])}`,
    read: (layer, key) => tags.map((tag) => `${name}:${layerTag(layer, key, tag)}`),
  });
}

function shortScope(scope: string): string {
  const tag = scopeTag(scope);
  return tag.length <= MAX_SCOPE ? tag : hexOf(sha256(scope)).slice(0, 32);
}
