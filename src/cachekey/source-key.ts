import { type Digest, goJson, sha256 } from '../base/index.ts';
import { normalisePlatform, type OpPlatform } from '../llb/index.ts';

/** The cache map digest of a source whose key is `key` (BuildKit solver/llbsolver/ops/source.go). */
export function sourceKey(key: string): Digest {
  return sha256(`buildkit.source.v0:${key}`);
}

/** Digest of a record that stands for output `index` of an op (or a content key, with index -1). */
export function recordDigest(digest: Digest, index: number): Digest {
  return sha256(`${digest}@${index}`);
}

/** Root record of an input's content: `contentDigest` is what `contentKey` returns. */
export function contentRecordDigest(contentDigest: Digest): Digest {
  return recordDigest(contentDigest, -1);
}

/** Key of an image by its manifest or index digest and platform (BuildKit `source/containerimage/pull.go`, index 0). */
export function imageManifestKey(
  manifest: Digest,
  platform: OpPlatform,
  layerLimit?: number,
): string {
  const p = normalisePlatform(platform);
  const set = (value: string | undefined): string | undefined => (value === '' ? undefined : value);
  return sha256(
    goJson({
      Digest: manifest,
      OS: p.OS,
      Arch: p.Architecture,
      Variant: set(p.Variant),
      OSVersion: set(p.OSVersion),
      OSFeatures: p.OSFeatures,
      Limit: layerLimit,
    }),
  );
}

/** Key of an image by its content (index 1): the chain id of its layers; undefined for an image without layers. */
export function imageChainKey(diffIds: readonly Digest[]): Digest | undefined {
  const [first, ...others] = diffIds;
  if (first === undefined) return undefined;
  return others.reduce<Digest>((chain, diffId) => sha256(`${chain} ${diffId}`), first);
}

/** What a downloaded file is known by (BuildKit source/http). */
export interface HttpSourceFacts {
  readonly filename: string;
  readonly perm: number;
  readonly uid: number;
  readonly gid: number;
  readonly checksum: Digest;
  /** In the form of the header Last-Modified (RFC 9110, IMF-fixdate): `Sat, 03 Feb 2024 04:05:06 GMT`. */
  readonly lastModified?: string;
  readonly authHeaderSecret?: string;
  readonly header?: readonly { readonly Name: string; readonly Value: string }[];
}

/** Key of a downloaded file. */
export function httpSourceKey(facts: HttpSourceFacts): Digest {
  return sha256(
    goJson({
      Filename: facts.filename,
      Perm: facts.perm,
      UID: facts.uid,
      GID: facts.gid,
      Checksum: facts.checksum,
      LastModTime: facts.lastModified,
      AuthHeaderSecret: facts.authHeaderSecret,
      Header: facts.header?.map((h) => ({ Name: h.Name, Value: h.Value })),
    }),
  );
}

/** What a git checkout is known by (BuildKit source/git). */
export interface GitSourceFacts {
  /** Hexadecimal commit id. */
  readonly sha: string;
  /** The reference as asked for, or empty. */
  readonly ref: string;
  readonly subdir: string;
  readonly keepGitDir: boolean;
  readonly skipSubmodules: boolean;
  /** `commit` gives files the time of the commit. */
  readonly mtime?: string;
}

/** Key of a git checkout. */
export function gitSourceKey(git: GitSourceFacts): string {
  const kept = git.keepGitDir ? `.git${git.ref === '' ? '' : `#${git.ref}`}` : '';
  const subdir = git.subdir === '' || git.subdir === '/' ? '' : `:${git.subdir}`;
  const submodules = git.skipSubmodules ? '(skip-submodules)' : '';
  return `${git.sha}${kept}${subdir}${submodules}${git.mtime === 'commit' ? '(mtime=commit)' : ''}`;
}
