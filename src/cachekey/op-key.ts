import { byUtf8, type Digest, err, goJson, ok, type Result, sha256 } from '../base/index.ts';
import {
  diffJson,
  type ExecOp,
  execJson,
  type Mount,
  mergeJson,
  normalisePlatform,
  type Op,
  type OpPlatform,
} from '../llb/index.ts';
import { fileOpKey } from './file-key.ts';
import { type ContentSelector, cleanRooted, dedupePaths } from './selector.ts';

/** What an input contributes to the key of its op (BuildKit `solver.CacheMap.Deps`). */
export interface OpKeyDep {
  /** Digest of the text of the selected paths; absent when the op does not narrow this input. */
  readonly selector?: Digest;
  /** Present when the input also has a content key: what is hashed, in order; empty is the whole input. */
  readonly content?: readonly ContentSelector[];
}

/** The key of an op without its inputs (BuildKit `solver.CacheMap`). */
export interface OpKey {
  readonly digest: Digest;
  /** One per input. */
  readonly deps: readonly OpKeyDep[];
}

/** Settings a key depends on that are not in the op. */
export interface OpKeyOptions {
  /** Platform of ops that name none. */
  readonly defaultPlatform?: OpPlatform;
}

const LINUX_AMD64: OpPlatform = { Architecture: 'amd64', OS: 'linux' };

/**
 * The key of an exec, file, merge or diff op, as BuildKit computes it (solver/llbsolver/ops: `CacheMap`). The error says
 * why the op is malformed. Source ops have keys of their own (`imageSourceKeys`, `httpSourceKey`, `gitSourceKey`).
 */
export function opKey(op: Op, options: OpKeyOptions = {}): Result<OpKey, string> {
  const plain = op.inputs.map((): OpKeyDep => ({}));
  switch (op.body.kind) {
    case 'exec': {
      const platform = normalisePlatform(op.platform ?? options.defaultPlatform ?? LINUX_AMD64);
      return execKey(op.body.exec, op.inputs.length, platform);
    }
    case 'file':
      return ok(fileOpKey(op.body.file, op.inputs.length));
    case 'merge': {
      const Merge = mergeJson(op.body.merge.inputs);
      const deps = op.body.merge.inputs.map((): OpKeyDep => ({}));
      return ok({ digest: sha256(goJson({ Type: 'buildkit.merge.v0', Merge })), deps });
    }
    case 'diff': {
      const { lower, upper } = op.body.diff;
      const deps = [lower, upper].filter((i) => i !== -1).map((): OpKeyDep => ({}));
      const Diff = diffJson(op.body.diff);
      return ok({ digest: sha256(goJson({ Type: 'buildkit.diff.v0', Diff })), deps });
    }
    case 'source':
    case 'terminal':
      return ok({ digest: sha256(''), deps: plain });
  }
}

function execKey(exec: ExecOp, numInputs: number, platform: OpPlatform): Result<OpKey, string> {
  const deps = execDeps(exec.mounts, numInputs);
  if (!deps.ok) return deps;
  const { proxy_env: _proxy, ...meta } = exec.meta;
  const keyed: ExecOp = {
    ...exec,
    meta: { ...meta, extraHosts: meta.extraHosts.map((h) => ({ ...h, IP: '' })) },
    mounts: isPlainRoot(exec.mounts) ? [] : exec.mounts.map(keyedMount),
  };
  const text = goJson({
    Type: 'buildkit.exec.v0',
    Exec: execJson(keyed),
    OS: platform.OS,
    Arch: platform.Architecture,
    Variant: platform.Variant === '' ? undefined : platform.Variant,
    OSVersion: platform.OSVersion === '' ? undefined : platform.OSVersion,
    OSFeatures: platform.OSFeatures?.length === 0 ? undefined : platform.OSFeatures,
  });
  return ok({ digest: sha256(text), deps: deps.value });
}

/** An exec whose only mount is the writable root has no mounts in its key. */
function isPlainRoot(mounts: readonly Mount[]): boolean {
  const [only, ...others] = mounts;
  return (
    only !== undefined &&
    others.length === 0 &&
    only.dest === '/' &&
    only.mountType === 0 &&
    !only.readonly &&
    only.resultID === ''
  );
}

/** A mount without what does not change the result: the selector (it is in the deps) and the identity of a cache. */
function keyedMount(mount: Mount): Mount {
  const { cacheOpt, ...rest } = mount;
  const keyed: Mount = { ...rest, selector: '' };
  if (cacheOpt === undefined) return keyed;
  const keeps =
    cacheOpt.sharing === 0 &&
    (cacheOpt.ID === mount.dest || cacheOpt.ID.endsWith(`/${mount.dest}`));
  return { ...keyed, cacheOpt: keeps ? cacheOpt : { ID: '', sharing: 0 } };
}

function execDeps(
  mounts: readonly Mount[],
  numInputs: number,
): Result<readonly OpKeyDep[], string> {
  const inputs = Array.from({ length: numInputs }, () => ({
    selectors: [] as string[],
    byContent: false,
  }));
  for (const mount of mounts) {
    if (mount.input === -1) continue;
    const input = inputs[mount.input];
    if (input === undefined) return err(`invalid mountinput ${mount.input} for ${mount.dest}`);
    const selector = cleanRooted(mount.selector);
    input.selectors.push(selector);
    const safe = mount.readonly || mount.output === -1 || selector === '/';
    if (mount.contentCache === 1) {
      if (!safe) return err(`invalid mount cache content ${mount.dest}`);
      input.byContent = true;
    } else if (mount.contentCache === 0 && mount.dest !== '/' && safe) {
      input.byContent = true;
    }
  }
  return ok(
    inputs.map(({ selectors, byContent }) => {
      if (selectors.length === 0) return {};
      const selector = sha256(selectors.join('\0'));
      if (!byContent) return { selector };
      return { selector, content: wholeOrPaths(dedupePaths(selectors)) };
    }),
  );
}

function wholeOrPaths(paths: readonly string[]): readonly ContentSelector[] {
  if (paths.includes('/')) return [];
  return [...paths].sort(byUtf8).map((path) => ({ path, followLinks: true }));
}
