import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Digest, isRecord, parseDigest, parseJson } from '../../../src/base/index.ts';
import {
  gitSourceKey,
  httpSourceKey,
  imageChainKey,
  imageManifestKey,
  sourceKey,
} from '../../../src/cachekey/index.ts';
import { goldenLines, needsGolden, note } from '../../rig/golden.ts';

interface GoldenSource {
  readonly kind: 'image' | 'http' | 'git';
  readonly step?: string;
  readonly key: string;
  readonly cacheMapDigest: string | null;
  readonly digest?: Digest;
  readonly config?: string;
  readonly layerLimit?: number;
  readonly normalised?: {
    readonly architecture: string;
    readonly os: string;
    readonly variant?: string;
    readonly osVersion?: string;
    readonly osFeatures?: readonly string[];
  };
  readonly filename?: string;
  readonly perm?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly checksum?: Digest;
  readonly lastModified?: string;
  readonly authHeaderSecret?: string;
  readonly header?: readonly { readonly Name: string; readonly Value: string }[];
  readonly sha?: string;
  readonly ref?: string;
  readonly subdir?: string;
  readonly keepGitDir?: boolean;
  readonly skipSubmodules?: boolean;
  readonly mtime?: string;
}

function diffIds(golden: GoldenSource): Digest[] {
  const config = parseJson(golden.config ?? '');
  const rootfs = config.ok && isRecord(config.value) ? config.value['rootfs'] : undefined;
  if (!isRecord(rootfs) || rootfs['type'] !== 'layers') return [];
  const ids: unknown = rootfs['diff_ids'];
  const all = Array.isArray(ids) ? ids.flatMap((d) => parseDigest(String(d)) ?? []) : [];
  return all.slice(0, golden.layerLimit ?? all.length);
}

function keyOf(g: GoldenSource): string {
  if (g.kind === 'git') {
    const { sha = '', ref = '', subdir = '', mtime = '' } = g;
    const { keepGitDir = false, skipSubmodules = false } = g;
    return gitSourceKey({ sha, ref, subdir, mtime, keepGitDir, skipSubmodules });
  }
  if (g.kind === 'http') {
    const { filename = '', perm = 0, uid = 0, gid = 0, checksum, lastModified, header } = g;
    if (checksum === undefined) throw new Error('a download has a checksum');
    return httpSourceKey({
      ...{ filename, perm, uid, gid, checksum },
      ...(lastModified === undefined ? {} : { lastModified: new Date(lastModified).toUTCString() }),
      ...(g.authHeaderSecret === undefined ? {} : { authHeaderSecret: g.authHeaderSecret }),
      ...(header === undefined ? {} : { header }),
    });
  }
  if (g.digest === undefined) return imageChainKey(diffIds(g)) ?? '';
  const p = g.normalised ?? { architecture: '', os: '' };
  const platform = {
    Architecture: p.architecture,
    OS: p.os,
    Variant: p.variant ?? '',
    OSVersion: p.osVersion ?? '',
    ...(p.osFeatures === undefined ? {} : { OSFeatures: p.osFeatures }),
  };
  return imageManifestKey(g.digest, platform, g.layerLimit);
}

test('keys of images, downloads and repositories are those of BuildKit', needsGolden, () => {
  // A configuration that is not JSON never becomes an image here, so it has no key.
  const cases = goldenLines<GoldenSource>('opkeys/sources.jsonl').filter(
    (g) => g.config === undefined || parseJson(g.config).ok,
  );
  const problems = cases.flatMap((golden, i) => {
    const key = keyOf(golden);
    const digest = key === '' ? null : sourceKey(key);
    return key === golden.key && digest === golden.cacheMapDigest
      ? []
      : [`${i} ${golden.kind} ${golden.step ?? ''}: ${key}, want ${golden.key}`];
  });
  note(`source keys: ${cases.length - problems.length} of ${cases.length} equal`);
  assert.deepEqual(problems, []);
});
