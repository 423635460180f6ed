import { parseDigest, type Result } from '../base/index.ts';
import type {
  CacheSharing,
  ChownOpt,
  ExecMeta,
  FileAction,
  FileActionCopy,
  Mount,
  MountType,
  NetMode,
  Op,
  OpBody,
  OpPlatform,
  SecretMount,
  SecurityMode,
  UserOpt,
} from './op.ts';
import {
  bigintOf,
  decodeMessage,
  intOf,
  intsOf,
  malformed,
  messageOf,
  messagesOf,
  type ProtoField,
  readFields,
  textOf,
  textsOf,
} from './wire.ts';

type Fields = readonly ProtoField[];

/** Reads a protobuf op (an element of `pb.Definition.def`). Unknown fields are ignored, unknown op kinds are an error. */
export function decodeOp(bytes: Uint8Array): Result<Op, string> {
  return decodeMessage(() => readOp(readFields(bytes)));
}

function readOp(f: Fields): Op {
  const platform = messageOf(f, 10);
  const constraints = messageOf(f, 11);
  return {
    inputs: messagesOf(f, 1).map((input) => {
      const text = textOf(input, 1);
      const digest = parseDigest(text);
      return digest === undefined
        ? malformed(`"${text}" is not a digest`)
        : { digest, index: intOf(input, 2) };
    }),
    body: readBody(f),
    ...(platform === undefined ? {} : { platform: readPlatform(platform) }),
    ...(constraints === undefined ? {} : { constraints: textsOf(constraints, 1) }),
  };
}

function readBody(f: Fields): OpBody {
  const kind = f.findLast((field) => field.field >= 2 && field.field <= 8);
  if (kind === undefined) return { kind: 'terminal' };
  const m = readFields(kind.bytes);
  switch (kind.field) {
    case 2:
      return { kind: 'exec', exec: readExec(m) };
    case 3: {
      const attrs = messagesOf(m, 2).map((e) => [textOf(e, 1), textOf(e, 2)] as const);
      return {
        kind: 'source',
        source: { identifier: textOf(m, 1), attrs: Object.fromEntries(attrs) },
      };
    }
    case 4:
      return { kind: 'file', file: { actions: messagesOf(m, 2).map(readAction) } };
    case 6:
      return { kind: 'merge', merge: { inputs: messagesOf(m, 1).map((i) => intOf(i, 1)) } };
    case 7: {
      const side = (field: number): number => intOf(messageOf(m, field) ?? [], 1);
      return { kind: 'diff', diff: { lower: side(1), upper: side(2) } };
    }
    default:
      return malformed(`op kind ${kind.field} is not supported`);
  }
}

function readPlatform(f: Fields): OpPlatform {
  const [variant, version, features] = [textOf(f, 3), textOf(f, 4), textsOf(f, 5)];
  return {
    Architecture: textOf(f, 1),
    OS: textOf(f, 2),
    ...(variant === '' ? {} : { Variant: variant }),
    ...(version === '' ? {} : { OSVersion: version }),
    ...(features.length === 0 ? {} : { OSFeatures: features }),
  };
}

function readExec(f: Fields): Extract<OpBody, { kind: 'exec' }>['exec'] {
  return {
    meta: readMeta(messageOf(f, 1) ?? []),
    mounts: messagesOf(f, 2).map(readMount),
    network: oneOf<NetMode>([0, 1, 2], intOf(f, 3), 'network mode'),
    security: oneOf<SecurityMode>([0, 1], intOf(f, 4), 'security mode'),
    secretenv: messagesOf(f, 5).map((m) => ({
      ID: textOf(m, 1),
      name: textOf(m, 2),
      optional: flag(m, 3),
    })),
    cdiDevices: messagesOf(f, 6).map((m) => ({ name: textOf(m, 1), optional: flag(m, 2) })),
  };
}

function readMeta(f: Fields): ExecMeta {
  const proxy = messageOf(f, 5);
  return {
    args: textsOf(f, 1),
    env: textsOf(f, 2),
    cwd: textOf(f, 3),
    user: textOf(f, 4),
    ...(proxy === undefined
      ? {}
      : {
          proxy_env: {
            http_proxy: textOf(proxy, 1),
            https_proxy: textOf(proxy, 2),
            ftp_proxy: textOf(proxy, 3),
            no_proxy: textOf(proxy, 4),
            all_proxy: textOf(proxy, 5),
          },
        }),
    extraHosts: messagesOf(f, 6).map((m) => ({ Host: textOf(m, 1), IP: textOf(m, 2) })),
    hostname: textOf(f, 7),
    ulimit: messagesOf(f, 9).map((m) => ({
      Name: textOf(m, 1),
      Soft: intOf(m, 2),
      Hard: intOf(m, 3),
    })),
    cgroupParent: textOf(f, 10),
    removeMountStubsRecursive: flag(f, 11),
    validExitCodes: intsOf(f, 12),
  };
}

function readMount(f: Fields): Mount {
  const [tmpfs, cache, secret, ssh] = [19, 20, 21, 22].map((field) => messageOf(f, field));
  return {
    input: intOf(f, 1),
    selector: textOf(f, 2),
    dest: textOf(f, 3),
    output: intOf(f, 4),
    readonly: flag(f, 5),
    mountType: oneOf<MountType>([0, 1, 2, 3, 4], intOf(f, 6), 'mount type'),
    ...(tmpfs === undefined ? {} : { TmpfsOpt: { size: intOf(tmpfs, 1) } }),
    ...(cache === undefined
      ? {}
      : {
          cacheOpt: {
            ID: textOf(cache, 1),
            sharing: oneOf<CacheSharing>([0, 1, 2], intOf(cache, 2), 'cache sharing'),
          },
        }),
    ...(secret === undefined ? {} : { secretOpt: readSecret(secret) }),
    ...(ssh === undefined ? {} : { SSHOpt: readSecret(ssh) }),
    resultID: textOf(f, 23),
    contentCache: oneOf<0 | 1 | 2>([0, 1, 2], intOf(f, 24), 'content cache'),
  };
}

function readSecret(f: Fields): SecretMount {
  return {
    ID: textOf(f, 1),
    uid: intOf(f, 2),
    gid: intOf(f, 3),
    mode: intOf(f, 4),
    optional: flag(f, 5),
  };
}

function readAction(f: Fields): FileAction {
  return {
    input: intOf(f, 1),
    secondaryInput: intOf(f, 2),
    output: intOf(f, 3),
    action: readActionKind(f),
  };
}

function readActionKind(f: Fields): FileAction['action'] {
  const kind = f.findLast((field) => field.field >= 4 && field.field <= 8);
  if (kind === undefined) return malformed('a file action without a kind');
  const m = readFields(kind.bytes);
  switch (kind.field) {
    case 4:
      return { kind: 'copy', copy: readCopy(m) };
    case 5: {
      const data = m.findLast((field) => field.field === 3)?.bytes ?? new Uint8Array(0);
      const mkfile = { path: textOf(m, 1), mode: intOf(m, 2), data: Uint8Array.from(data) };
      return {
        kind: 'mkfile',
        mkfile: { ...mkfile, ...readOwner(m, 4), timestamp: bigintOf(m, 5) },
      };
    }
    case 6: {
      const mkdir = { path: textOf(m, 1), mode: intOf(m, 2), makeParents: flag(m, 3) };
      return { kind: 'mkdir', mkdir: { ...mkdir, ...readOwner(m, 4), timestamp: bigintOf(m, 5) } };
    }
    case 7:
      return {
        kind: 'rm',
        rm: { path: textOf(m, 1), allowNotFound: flag(m, 2), allowWildcard: flag(m, 3) },
      };
    default: {
      const symlink = { oldpath: textOf(m, 1), newpath: textOf(m, 2) };
      return {
        kind: 'symlink',
        symlink: { ...symlink, ...readOwner(m, 3), timestamp: bigintOf(m, 4) },
      };
    }
  }
}

function readCopy(f: Fields): FileActionCopy {
  return {
    src: textOf(f, 1),
    dest: textOf(f, 2),
    ...readOwner(f, 3),
    mode: intOf(f, 4),
    followSymlink: flag(f, 5),
    dirCopyContents: flag(f, 6),
    attemptUnpackDockerCompatibility: flag(f, 7),
    createDestPath: flag(f, 8),
    allowWildcard: flag(f, 9),
    allowEmptyWildcard: flag(f, 10),
    timestamp: bigintOf(f, 11),
    include_patterns: textsOf(f, 12),
    exclude_patterns: textsOf(f, 13),
    alwaysReplaceExistingDestPaths: flag(f, 14),
    modeStr: textOf(f, 15),
    required_paths: textsOf(f, 16),
  };
}

function readOwner(f: Fields, field: number): { readonly owner?: ChownOpt } {
  const m = messageOf(f, field);
  if (m === undefined) return {};
  const [user, group] = [messageOf(m, 1), messageOf(m, 2)].map((u) => u && readUser(u));
  return {
    owner: {
      ...(user === undefined ? {} : { user }),
      ...(group === undefined ? {} : { group }),
    },
  };
}

function readUser(f: Fields): UserOpt {
  const named = messageOf(f, 1);
  return named === undefined
    ? { kind: 'byId', byId: intOf(f, 2) }
    : { kind: 'byName', name: textOf(named, 1), input: intOf(named, 2) };
}

const flag = (f: Fields, field: number): boolean => bigintOf(f, field) !== 0n;

function oneOf<T extends number>(allowed: readonly T[], value: number, what: string): T {
  return allowed.find((a) => a === value) ?? malformed(`${what} ${value} is not known`);
}
