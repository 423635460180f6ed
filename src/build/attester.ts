import { createHash } from 'node:crypto';
import {
  type Attestations,
  type BuildFacts,
  type ConfigSource,
  gitMaterial,
  type InventoryWorld,
  imageSubjects,
  inventory,
  PROVENANCE_TYPE,
  type Predicate,
  provenance,
  SPDX_TYPE,
  STATEMENT_MEDIA_TYPE,
  type Subject,
  statement,
} from '../attest/index.ts';
import {
  type Digest,
  digestOfHex,
  ok,
  type Result,
  redact,
  type SourceFile,
} from '../base/index.ts';
import type { FileTree } from '../cachekey/index.ts';
import type { Attach, ExtraFile } from '../export/index.ts';
import type { BuiltImage, ExportContext } from '../image/index.ts';
import type { Definition } from '../llb/index.ts';
import { formatPlatform, type Platform } from '../oci/index.ts';
import type { Clock, TreeProvider } from '../ports/index.ts';
import type { PlatformResult } from './outputs.ts';
import type { BuildRequest } from './request.ts';

/** Makes what is attached to the results of one build. */
export interface Attester {
  /** Statements about images. */
  image(context: ExportContext): Attach;
  /** Files beside those of a result that is written as files. */
  files(
    result: PlatformResult,
    tree: FileTree,
    signal: AbortSignal,
  ): Promise<Result<readonly ExtraFile[]>>;
}

/** A result and how it came about. */
export interface MadeResult {
  readonly result: PlatformResult;
  readonly definition: Definition;
  /** `Solution.sources`. */
  readonly sources: ReadonlyMap<Digest, string>;
}

/** A build, as what is said of its results needs it. */
export interface AttestedBuild {
  readonly wanted: Attestations;
  readonly id: string;
  readonly startedAt: number;
  readonly request: BuildRequest;
  readonly file: SourceFile;
  readonly buildPlatform: Platform;
  readonly clock: Clock;
  readonly trees: TreeProvider;
  /** Where temporary files go. */
  readonly workDir: string;
  readonly made: readonly MadeResult[];
}

/** Makes the attester of a build. */
export function createAttester(build: AttestedBuild): Attester {
  const finishedAt = build.clock.now();
  const { provenance: wanted, sbom } = build.wanted;
  const predicates = async (
    made: MadeResult,
    tree: FileTree | undefined,
    signal: AbortSignal,
    image?: BuiltImage,
  ): Promise<Result<readonly NamedPredicate[]>> => {
    const all: NamedPredicate[] = [];
    if (sbom !== undefined && tree !== undefined) {
      const { name } = build.request;
      const readRpms = async (database: Uint8Array): ReturnType<InventoryWorld['readRpms']> => {
        const { readRpmDatabaseBytes } = await import('../packages/index.ts');
        return await readRpmDatabaseBytes(database, build.workDir);
      };
      const content = await inventory(tree, { name, at: finishedAt, readRpms, signal });
      if (!content.ok) return content;
      all.push({ type: SPDX_TYPE, content: content.value, ...sbom });
    }
    if (wanted !== undefined) {
      const content = provenance(factsOf(build, made, finishedAt, image), wanted);
      all.push({ type: PROVENANCE_TYPE[wanted.version], content, ...wanted });
    }
    return ok(all);
  };
  return {
    image: (context) => async (image, parts, names) => {
      const made = build.made.find((each) => each.result.parts === parts);
      if (made === undefined) throw new Error('an image is of none of the results');
      const { chain } = made.result;
      const tree = sbom === undefined ? ok(undefined) : await build.trees.tree(chain, context);
      if (!tree.ok) return tree;
      const said = await predicates(made, tree.value, context.signal, image);
      if (!said.ok) return said;
      const subjects = imageSubjects(names, image.manifest.digest, image.platform);
      return ok(
        said.value.map((predicate) => ({
          bytes: statement(subjects, predicate),
          mediaType: STATEMENT_MEDIA_TYPE,
          predicateType: predicate.type,
        })),
      );
    },
    files: async (result, tree, signal) => {
      const made = build.made.find((each) => each.result === result);
      if (made === undefined) throw new Error('a result is none of this build');
      const said = await predicates(made, tree, signal);
      if (!said.ok) return said;
      const beside = said.value.filter(({ inlineOnly }) => !inlineOnly);
      if (beside.length === 0) return ok([]);
      const subjects = await fileSubjects(tree, signal);
      const mtimeNs = BigInt(Math.round(finishedAt)) * 1_000_000n;
      return ok(
        beside.map((predicate) => ({
          name: predicate.filename,
          bytes: statement(subjects, predicate),
          mtimeNs,
        })),
      );
    },
  };
}

interface NamedPredicate extends Predicate {
  readonly filename: string;
  readonly inlineOnly: boolean;
}

/** A result that is no image is the files in it. */
async function fileSubjects(tree: FileTree, signal: AbortSignal): Promise<readonly Subject[]> {
  const subjects: Subject[] = [];
  const stack = ['/'];
  for (let path = stack.pop(); path !== undefined; path = stack.pop()) {
    signal.throwIfAborted();
    const entry = path === '/' ? undefined : tree.lstat(path);
    if (entry?.type === 'file') {
      const hash = createHash('sha256');
      for await (const chunk of tree.read(path, signal)) hash.update(chunk);
      subjects.push({ name: path.slice(1), digest: digestOfHex(hash.digest('hex')) });
    } else if (path === '/' || entry?.type === 'dir') {
      const below = path === '/' ? '' : path;
      stack.push(...[...tree.list(path)].reverse().map((name) => `${below}/${name}`));
    }
  }
  return subjects;
}

function factsOf(
  build: AttestedBuild,
  { definition, sources }: MadeResult,
  finishedAt: number,
  image: BuiltImage | undefined,
): BuildFacts {
  const { request, id, startedAt, file, buildPlatform } = build;
  const source = configSource(request, definition, sources);
  const { dockerfile } = request;
  return {
    ...{ invocation: id, startedAt, finishedAt, definition, sources },
    builderPlatform: buildPlatform,
    args: frontendArgs(request),
    locals: localNames(request),
    ...(source === undefined ? {} : { configSource: source }),
    configPath: dockerfile.kind === 'file' ? dockerfile.name : 'Dockerfile',
    dockerfile: file,
    ...(image === undefined ? {} : { layers: image.layers.map(({ blob }) => blob) }),
  };
}

/** The options of the front end under BuildKit's names (client/solve, frontend attributes). */
function frontendArgs(request: BuildRequest): Readonly<Record<string, string>> {
  const args: Record<string, string> = {};
  const put = (key: string, value: string | undefined): void => {
    if (value !== undefined && value !== '') args[key] = value;
  };
  for (const [name, value] of Object.entries(request.buildArgs)) args[`build-arg:${name}`] = value;
  for (const [name, value] of Object.entries(request.labels)) args[`label:${name}`] = value;
  for (const [name, context] of request.namedContexts)
    put(`context:${name}`, contextText(name, context));
  put('target', request.target);
  put('platform', request.platforms.map(formatPlatform).join(','));
  if (request.noCache === 'all') args['no-cache'] = '';
  else put('no-cache', request.noCache.join(','));
  put('add-hosts', request.extraHosts.map(({ host, ip }) => `${host}=${ip}`).join(','));
  put('ulimit', request.ulimits.map((u) => `${u.name}=${u.soft}:${u.hard}`).join(','));
  put('shm-size', request.shmSize?.toString());
  put('cgroup-parent', request.cgroupParent);
  put('force-network-mode', request.network === 'default' ? undefined : request.network);
  put('image-resolve-mode', request.pull ? 'pull' : undefined);
  return args;
}

function contextText(
  name: string,
  context: BuildRequest['namedContexts'] extends ReadonlyMap<string, infer C> ? C : never,
): string {
  switch (context.kind) {
    case 'local':
    case 'template':
    case 'stack':
    case 'oci-layout':
      return `${context.kind}:${name}`;
    case 'image':
      return `docker-image://${context.ref}`;
    case 'remote':
      return redact(context.address);
  }
}

/** Directories of this machine that took part, by name. */
function localNames(request: BuildRequest): readonly string[] {
  const { remote, contextKind, dockerfile, namedContexts } = request;
  const named = [...namedContexts].flatMap(([name, { kind }]) => (kind === 'local' ? [name] : []));
  const own =
    remote !== undefined
      ? dockerfile.kind === 'text'
        ? ['dockerfile']
        : []
      : contextKind === 'none'
        ? []
        : ['context', 'dockerfile'];
  return [...own, ...named].sort();
}

/** The repository or download that the Dockerfile came in. */
function configSource(
  { remote }: BuildRequest,
  definition: Definition,
  sources: ReadonlyMap<Digest, string>,
): ConfigSource | undefined {
  const context = remote?.opened?.context;
  if (context === undefined) return undefined;
  const vertex = [...definition.vertices.values()].find(
    ({ op }) => op.body.kind === 'source' && op.body.source.identifier === context.identifier,
  );
  const identity = vertex === undefined ? '' : (sources.get(vertex.digest) ?? '');
  if (context.identifier.startsWith('git://')) return gitMaterial(context, identity);
  const hex = identity.replace(/^sha256:/, '');
  return { uri: redact(context.identifier), digest: hex === '' ? {} : { sha256: hex } };
}
