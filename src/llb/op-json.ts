import { type GoJson, unreachable } from '../base/index.ts';
import type {
  ChownOpt,
  ExecMeta,
  ExecOp,
  FileAction,
  FileActionCopy,
  FileActionMkDir,
  FileActionMkFile,
  FileActionRm,
  FileActionSymlink,
  Mount,
  Op,
  OpPlatform,
  SecretMount,
  UserOpt,
} from './op.ts';

/*
 * The Go JSON of LLB messages (moby/buildkit solver/pb: the generated structs' tags and pb/json.go). Cache keys are
 * SHA-256 sums of these texts, so the order of keys matters; `undefined` members are Go's omitempty.
 */

type JsonObject = Readonly<Record<string, GoJson | undefined>>;

/** A value, or undefined where Go's omitempty leaves it out. */
function omit(value: string | number | bigint | boolean): GoJson | undefined {
  return value === '' || value === 0 || value === 0n || value === false ? undefined : value;
}

const list = <T>(values: readonly T[], json: (value: T) => GoJson): GoJson | undefined =>
  values.length === 0 ? undefined : values.map(json);

const texts = (values: readonly string[]): GoJson | undefined => list(values, (v) => v);

/** Go JSON of `pb.Op` (informational; only parts of it enter keys). */
export function opJson(op: Op): JsonObject {
  const body = bodyJson(op);
  return {
    inputs: list(op.inputs, (i) => ({ digest: omit(i.digest), index: omit(i.index) })),
    Op: body ?? {},
    platform: op.platform === undefined ? undefined : platformJson(op.platform),
    constraints: op.constraints === undefined ? undefined : { filter: texts(op.constraints) },
  };
}

function bodyJson({ body }: Op): JsonObject | undefined {
  switch (body.kind) {
    case 'exec':
      return { exec: execJson(body.exec) };
    case 'source': {
      const { identifier, attrs } = body.source;
      const keys = Object.keys(attrs).sort();
      const pairs = keys.map((k) => [k, attrs[k] ?? ''] as const);
      return {
        source: {
          identifier: omit(identifier),
          attrs: keys.length === 0 ? undefined : Object.fromEntries(pairs),
        },
      };
    }
    case 'file':
      return { file: { actions: list(body.file.actions, fileActionJson) } };
    case 'merge':
      return { merge: mergeJson(body.merge.inputs) };
    case 'diff':
      return { diff: diffJson(body.diff) };
    case 'terminal':
      return undefined;
    default:
      return unreachable(body);
  }
}

/** Go JSON of `pb.Platform`. */
export function platformJson(p: OpPlatform): JsonObject {
  return {
    Architecture: omit(p.Architecture),
    OS: omit(p.OS),
    Variant: omit(p.Variant ?? ''),
    OSVersion: omit(p.OSVersion ?? ''),
    OSFeatures: texts(p.OSFeatures ?? []),
  };
}

/** Go JSON of `pb.ExecOp`. */
export function execJson(exec: ExecOp): JsonObject {
  return {
    meta: metaJson(exec.meta),
    mounts: list(exec.mounts, mountJson),
    network: omit(exec.network),
    security: omit(exec.security),
    secretenv: list(exec.secretenv, (s) => ({
      ID: omit(s.ID),
      name: omit(s.name),
      optional: omit(s.optional),
    })),
    cdiDevices: list(exec.cdiDevices, (d) => ({
      name: omit(d.name),
      optional: omit(d.optional),
    })),
  };
}

function metaJson(meta: ExecMeta): JsonObject {
  const proxy = meta.proxy_env;
  return {
    args: texts(meta.args),
    env: texts(meta.env),
    cwd: omit(meta.cwd),
    user: omit(meta.user),
    proxy_env:
      proxy === undefined
        ? undefined
        : {
            http_proxy: omit(proxy.http_proxy ?? ''),
            https_proxy: omit(proxy.https_proxy ?? ''),
            ftp_proxy: omit(proxy.ftp_proxy ?? ''),
            no_proxy: omit(proxy.no_proxy ?? ''),
            all_proxy: omit(proxy.all_proxy ?? ''),
          },
    extraHosts: list(meta.extraHosts, (h) => ({ Host: omit(h.Host), IP: omit(h.IP) })),
    hostname: omit(meta.hostname),
    ulimit: list(meta.ulimit, (u) => ({
      Name: omit(u.Name),
      Soft: omit(u.Soft),
      Hard: omit(u.Hard),
    })),
    cgroupParent: omit(meta.cgroupParent),
    removeMountStubsRecursive: omit(meta.removeMountStubsRecursive),
    validExitCodes: list(meta.validExitCodes, (code) => code),
  };
}

function mountJson(m: Mount): JsonObject {
  return {
    input: omit(m.input),
    selector: omit(m.selector),
    dest: omit(m.dest),
    output: omit(m.output),
    readonly: omit(m.readonly),
    mountType: omit(m.mountType),
    TmpfsOpt: m.TmpfsOpt === undefined ? undefined : { size: omit(m.TmpfsOpt.size) },
    cacheOpt:
      m.cacheOpt === undefined
        ? undefined
        : { ID: omit(m.cacheOpt.ID), sharing: omit(m.cacheOpt.sharing) },
    secretOpt: m.secretOpt === undefined ? undefined : secretJson(m.secretOpt),
    SSHOpt: m.SSHOpt === undefined ? undefined : secretJson(m.SSHOpt),
    resultID: omit(m.resultID),
    contentCache: omit(m.contentCache),
  };
}

function secretJson(s: SecretMount): JsonObject {
  return {
    ID: omit(s.ID),
    uid: omit(s.uid),
    gid: omit(s.gid),
    mode: omit(s.mode),
    optional: omit(s.optional),
  };
}

/** Go JSON of `pb.FileAction`, whose indexes are always written and whose symlinks never are. */
export function fileActionJson(file: FileAction): JsonObject {
  const { action } = file;
  return {
    input: file.input,
    secondaryInput: file.secondaryInput,
    output: file.output,
    Action: action.kind === 'symlink' ? {} : { [action.kind]: actionBodyJson(action) },
  };
}

/** Go JSON of the message inside a file action. */
export function actionBodyJson(action: FileAction['action']): JsonObject {
  switch (action.kind) {
    case 'copy':
      return copyJson(action.copy);
    case 'mkfile':
      return mkfileJson(action.mkfile);
    case 'mkdir':
      return mkdirJson(action.mkdir);
    case 'rm':
      return rmJson(action.rm);
    case 'symlink':
      return symlinkJson(action.symlink);
    default:
      return unreachable(action);
  }
}

function copyJson(c: FileActionCopy): JsonObject {
  return {
    src: omit(c.src),
    dest: omit(c.dest),
    owner: ownerJson(c.owner),
    mode: omit(c.mode),
    followSymlink: omit(c.followSymlink),
    dirCopyContents: omit(c.dirCopyContents),
    attemptUnpackDockerCompatibility: omit(c.attemptUnpackDockerCompatibility),
    createDestPath: omit(c.createDestPath),
    allowWildcard: omit(c.allowWildcard),
    allowEmptyWildcard: omit(c.allowEmptyWildcard),
    timestamp: omit(c.timestamp),
    include_patterns: texts(c.include_patterns),
    exclude_patterns: texts(c.exclude_patterns),
    alwaysReplaceExistingDestPaths: omit(c.alwaysReplaceExistingDestPaths),
    modeStr: omit(c.modeStr),
    required_paths: texts(c.required_paths),
  };
}

const mkfileJson = (f: FileActionMkFile): JsonObject => ({
  path: omit(f.path),
  mode: omit(f.mode),
  data: omit(Buffer.from(f.data).toString('base64')),
  owner: ownerJson(f.owner),
  timestamp: omit(f.timestamp),
});

const mkdirJson = (d: FileActionMkDir): JsonObject => ({
  path: omit(d.path),
  mode: omit(d.mode),
  makeParents: omit(d.makeParents),
  owner: ownerJson(d.owner),
  timestamp: omit(d.timestamp),
});

const rmJson = (r: FileActionRm): JsonObject => ({
  path: omit(r.path),
  allowNotFound: omit(r.allowNotFound),
  allowWildcard: omit(r.allowWildcard),
});

const symlinkJson = (s: FileActionSymlink): JsonObject => ({
  oldpath: omit(s.oldpath),
  newpath: omit(s.newpath),
  owner: ownerJson(s.owner),
  timestamp: omit(s.timestamp),
});

function ownerJson(owner: ChownOpt | undefined): JsonObject | undefined {
  if (owner === undefined) return undefined;
  return {
    user: owner.user === undefined ? undefined : userJson(owner.user),
    group: owner.group === undefined ? undefined : userJson(owner.group),
  };
}

function userJson(user: UserOpt): JsonObject {
  return {
    User:
      user.kind === 'byId'
        ? { byId: omit(user.byId) }
        : { byName: { name: omit(user.name), input: omit(user.input) } },
  };
}

/** Go JSON of `pb.MergeOp`. */
export function mergeJson(inputs: readonly number[]): JsonObject {
  return { inputs: list(inputs, (input) => ({ input: omit(input) })) };
}

/** Go JSON of `pb.DiffOp`. */
export function diffJson(diff: { readonly lower: number; readonly upper: number }): JsonObject {
  return { lower: { input: omit(diff.lower) }, upper: { input: omit(diff.upper) } };
}
