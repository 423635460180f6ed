import { type Definition, marshalGraph } from '../llb/index.ts';
import { copyNode } from './file-node.ts';
import { encodeGraph, type LazyOutput } from './lazy-graph.ts';
import { gitNode, isHttp, parseGit } from './remote-source.ts';
import type { LowerRequest, MainContext, TimeQuestion } from './request.ts';
import { followPaths, localNode, sourceNode, sourceOf } from './source-node.ts';

/** A context that is not a directory of this machine. */
export type RemoteContext = Extract<MainContext, { readonly kind: 'source' }>;

/** Name of a downloaded context in its own tree (BuildKit frontend/dockerui, `DetectHTTPContext`). */
export const DOWNLOADED = 'context';

/** What the context of a build means, when it is an address or a repository; undefined for anything else. */
export function remoteContext(
  address: string,
  options: { readonly keepGitDir: boolean },
): RemoteContext | undefined {
  const git = parseGit(address);
  if (git !== undefined) {
    const node = gitNode(git, { keepGitDir: options.keepGitDir, checksum: '', metadata: {} });
    return { kind: 'source', ...sourceOf(node) };
  }
  if (!isHttp(address)) return undefined;
  return { kind: 'source', identifier: address, attrs: { 'http.filename': DOWNLOADED } };
}

/** The graph of a remote context alone, so that its Dockerfile can be read; `title` names its step. */
export function contextDefinition(context: RemoteContext, title: string): Definition {
  return marshalGraph(encodeGraph(remoteNode(context, title)));
}

/** The graph of one source, for its time. */
export function sourceDefinition({ identifier, attrs, name }: TimeQuestion): Definition {
  return marshalGraph(
    encodeGraph(
      sourceNode(identifier, { attrs, metadata: { description: { 'llb.customname': name } } }),
    ),
  );
}

/** The context of a build as an input of its instructions; `paths` is what they read of a directory. */
export function mainContext(
  request: LowerRequest,
  excludes: readonly string[],
  paths: ReadonlySet<string>,
): LazyOutput {
  const { context } = request;
  const title = '[internal] load build context';
  if (context.kind === 'source') return remoteNode(context, title);
  return localNode({
    name: context.name,
    session: context.session,
    excludes,
    shownName: title,
    paths: () => followPaths(paths),
  });
}

function remoteNode(context: RemoteContext, title: string): LazyOutput {
  const { identifier, attrs } = context;
  const description = { 'llb.customname': title };
  const source = sourceNode(identifier, { attrs, metadata: { description } });
  if (context.archive !== true) return source;
  return copyNode(undefined, [{ from: source, copy: UNPACK }], {
    owner: '',
    metadata: { description, caps: ['file.base'] },
  });
}

const UNPACK = {
  src: `/${DOWNLOADED}`,
  dest: '/',
  mode: -1,
  followSymlink: false,
  dirCopyContents: false,
  attemptUnpackDockerCompatibility: true,
  createDestPath: false,
  allowWildcard: false,
  allowEmptyWildcard: false,
  timestamp: -1n,
  include_patterns: [],
  exclude_patterns: [],
  alwaysReplaceExistingDestPaths: false,
  modeStr: '',
  required_paths: [],
} as const;
