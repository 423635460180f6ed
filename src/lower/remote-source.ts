import { parseDigest } from '../base/index.ts';
import type { OpMetadata } from '../llb/index.ts';
import { type GitWish, readGitWish } from './git-query.ts';
import type { LazyOutput } from './lazy-graph.ts';
import { baseName } from './paths.ts';
import { sourceNode } from './source-node.ts';
import { stop } from './stop.ts';

/** A git repository as written in ADD or as a context. */
export interface GitReference extends GitWish {
  /** What is fetched, as written, without fragment and query. */
  readonly remote: string;
  /** Host and path of the repository, as the identifier of the source op has it. */
  readonly location: string;
  readonly ssh: boolean;
  readonly http: boolean;
  /** Why the fragment and the query cannot be followed. */
  readonly problem?: string;
}

/** Whether a text is an HTTP or HTTPS address. */
export function isHttp(text: string): boolean {
  return text.startsWith('https://') || text.startsWith('http://');
}

const SCP = /^(?:([A-Za-z0-9._-]+)@)([A-Za-z0-9._-]+):([^:].*)$/;

/** Reads a git address; undefined when the text is something else (BuildKit util/gitutil, `ParseURL`). */
export function parseGit(text: string): GitReference | undefined {
  const hash = text.indexOf('#');
  const fragment = hash === -1 ? '' : text.slice(hash + 1);
  const address = hash === -1 ? text : text.slice(0, hash);
  const question = address.indexOf('?');
  const remote = question === -1 ? address : address.slice(0, question);
  const where = gitLocation(remote);
  if (where === undefined) return undefined;
  const query = new URLSearchParams(question === -1 ? '' : address.slice(question + 1));
  const wish = readGitWish(fragment, query);
  return wish.ok
    ? { remote, ...where, ...wish.value }
    : { remote, ...where, ...NO_WISH, problem: wish.error };
}

const NO_WISH: GitWish = {
  ...{ ref: '', subdir: '', checksum: '' },
  ...{ keepGitDir: undefined, submodules: undefined },
};

function gitLocation(remote: string): Pick<GitReference, 'location' | 'ssh' | 'http'> | undefined {
  const scp = remote.includes('@') ? SCP.exec(remote) : null;
  if (scp !== null) return { location: `${scp[2]}/${scp[3]}`, ssh: true, http: false };
  if (!remote.includes('://')) return undefined;
  const url = /^(https?|ssh|git):\/\/(?:[^/@]*@)?(.+)$/.exec(remote);
  const [, scheme, location = ''] = url ?? [];
  if (scheme === undefined) return undefined;
  if (scheme.startsWith('http') && !/\.git\/?$/.test(location)) return undefined;
  return { location, ssh: scheme === 'ssh', http: scheme.startsWith('http') };
}

/** The source op of a git repository. */
export function gitNode(
  git: GitReference,
  options: {
    readonly keepGitDir: boolean;
    readonly checksum: string;
    readonly metadata: Partial<OpMetadata>;
  },
): LazyOutput {
  if (git.problem !== undefined) stop(git.problem, 'DF025');
  const { subdir } = git;
  const fragment = subdir === '' ? git.ref : `${git.ref}:${subdir}`;
  const keep = options.keepGitDir || git.keepGitDir === true;
  const checksum = options.checksum === '' ? git.checksum : options.checksum;
  const skipSubmodules = git.submodules === false;
  const caps = [
    'source.git',
    ...(checksum === '' ? [] : ['source.git.checksum']),
    'source.git.fullurl',
    ...(keep ? ['source.git.keepgitdir'] : []),
    ...(git.ssh ? ['source.git.knownsshhosts', 'source.git.mountsshsock'] : []),
    ...(skipSubmodules ? ['source.git.skipsubmodules'] : []),
  ];
  return sourceNode(`git://${git.location}${fragment === '' ? '' : `#${fragment}`}`, {
    attrs: {
      'git.fullurl': git.remote,
      'git.authheadersecret': 'GIT_AUTH_HEADER',
      'git.authtokensecret': 'GIT_AUTH_TOKEN',
      ...(keep ? { 'git.keepgitdir': 'true' } : {}),
      ...(checksum === '' ? {} : { 'git.checksum': checksum }),
      ...(git.ssh ? { 'git.mountsshsock': 'default' } : {}),
      ...(skipSubmodules ? { 'git.skipsubmodules': 'true' } : {}),
    },
    metadata: { ...options.metadata, caps },
  });
}

/** Name under which a downloaded file is stored. */
export function downloadName(address: string): string {
  const path = URL.canParse(address) ? decodePath(new URL(address).pathname) : '';
  const base = baseName(path);
  return base === '.' || base === '/' ? '__unnamed__' : base;
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch (e) {
    if (e instanceof URIError) return path;
    throw e;
  }
}

/** The source op of a download. */
export function httpNode(
  address: string,
  options: { readonly checksum: string; readonly name: string },
): LazyOutput {
  const { checksum, name } = options;
  if (checksum !== '' && parseDigest(checksum) === undefined)
    stop(digestProblem(checksum), 'DF023');
  return sourceNode(address, {
    attrs: {
      'http.filename': downloadName(address),
      ...(checksum === '' ? {} : { 'http.checksum': checksum }),
    },
    metadata: {
      description: { 'llb.customname': name, 'com.docker.dockerfile.v1.command': '' },
      caps: ['source.http', ...(checksum === '' ? [] : ['source.http.checksum'])],
    },
  });
}

/** Why a text is no digest (opencontainers/go-digest). */
function digestProblem(text: string): string {
  const colon = text.indexOf(':');
  if (colon <= 0 || colon + 1 === text.length) return 'invalid checksum digest format';
  const algorithm = text.slice(0, colon);
  if (!['sha256', 'sha384', 'sha512'].includes(algorithm)) return 'unsupported digest algorithm';
  return text.length - colon - 1 === 64
    ? 'invalid checksum digest format'
    : 'invalid checksum digest length';
}
