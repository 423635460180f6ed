import { byUtf8, unreachable } from '../base/index.ts';
import type {
  ChownOpt,
  ExecMeta,
  ExecOp,
  FileAction,
  FileActionCopy,
  HostIp,
  Mount,
  Op,
  OpPlatform,
  SecretMount,
  UserOpt,
} from './op.ts';
import { ProtoWriter } from './wire.ts';

/** The deterministic protobuf encoding of an op: fields by number, oneofs last, map entries by key. */
export function encodeOp(op: Op): Uint8Array {
  const w = new ProtoWriter();
  for (const input of op.inputs) {
    w.message(1, (m) => {
      m.string(1, input.digest);
      m.int(2, input.index);
    });
  }
  const { platform, constraints } = op;
  if (platform !== undefined) w.message(10, (m) => writePlatform(m, platform));
  if (constraints !== undefined) w.message(11, (m) => m.strings(1, constraints));
  writeBody(w, op);
  return w.finish();
}

function writePlatform(w: ProtoWriter, p: OpPlatform): void {
  w.string(1, p.Architecture);
  w.string(2, p.OS);
  w.string(3, p.Variant ?? '');
  w.string(4, p.OSVersion ?? '');
  w.strings(5, p.OSFeatures ?? []);
}

function writeBody(w: ProtoWriter, { body }: Op): void {
  switch (body.kind) {
    case 'exec': {
      w.message(2, (m) => writeExec(m, body.exec));
      return;
    }
    case 'source': {
      w.message(3, (m) => {
        m.string(1, body.source.identifier);
        for (const [key, value] of Object.entries(body.source.attrs).sort(([a], [b]) =>
          byUtf8(a, b),
        )) {
          m.message(2, (entry) => {
            entry.string(1, key);
            entry.string(2, value);
          });
        }
      });
      return;
    }
    case 'file': {
      w.message(4, (m) => {
        for (const action of body.file.actions) m.message(2, (a) => writeAction(a, action));
      });
      return;
    }
    case 'merge': {
      w.message(6, (m) => {
        for (const input of body.merge.inputs) m.message(1, (i) => i.int(1, input));
      });
      return;
    }
    case 'diff': {
      w.message(7, (m) => {
        m.message(1, (i) => i.int(1, body.diff.lower));
        m.message(2, (i) => i.int(1, body.diff.upper));
      });
      return;
    }
    case 'terminal':
      return;
    default:
      return unreachable(body);
  }
}

function writeExec(w: ProtoWriter, exec: ExecOp): void {
  w.message(1, (m) => writeMeta(m, exec.meta));
  for (const mount of exec.mounts) w.message(2, (m) => writeMount(m, mount));
  w.int(3, exec.network);
  w.int(4, exec.security);
  for (const env of exec.secretenv) {
    w.message(5, (m) => {
      m.string(1, env.ID);
      m.string(2, env.name);
      m.bool(3, env.optional);
    });
  }
  for (const device of exec.cdiDevices) {
    w.message(6, (m) => {
      m.string(1, device.name);
      m.bool(2, device.optional);
    });
  }
}

function writeMeta(w: ProtoWriter, meta: ExecMeta): void {
  w.strings(1, meta.args);
  w.strings(2, meta.env);
  w.string(3, meta.cwd);
  w.string(4, meta.user);
  const proxy = meta.proxy_env;
  if (proxy !== undefined) {
    w.message(5, (m) => {
      m.string(1, proxy.http_proxy ?? '');
      m.string(2, proxy.https_proxy ?? '');
      m.string(3, proxy.ftp_proxy ?? '');
      m.string(4, proxy.no_proxy ?? '');
      m.string(5, proxy.all_proxy ?? '');
    });
  }
  for (const host of meta.extraHosts) w.message(6, (m) => writeHost(m, host));
  w.string(7, meta.hostname);
  for (const limit of meta.ulimit) {
    w.message(9, (m) => {
      m.string(1, limit.Name);
      m.int(2, limit.Soft);
      m.int(3, limit.Hard);
    });
  }
  w.string(10, meta.cgroupParent);
  w.bool(11, meta.removeMountStubsRecursive);
  w.packed(12, meta.validExitCodes);
}

function writeHost(w: ProtoWriter, host: HostIp): void {
  w.string(1, host.Host);
  w.string(2, host.IP);
}

function writeMount(w: ProtoWriter, mount: Mount): void {
  w.int(1, mount.input);
  w.string(2, mount.selector);
  w.string(3, mount.dest);
  w.int(4, mount.output);
  w.bool(5, mount.readonly);
  w.int(6, mount.mountType);
  const { TmpfsOpt, cacheOpt, secretOpt, SSHOpt } = mount;
  if (TmpfsOpt !== undefined) w.message(19, (m) => m.int(1, TmpfsOpt.size));
  if (cacheOpt !== undefined) {
    w.message(20, (m) => {
      m.string(1, cacheOpt.ID);
      m.int(2, cacheOpt.sharing);
    });
  }
  if (secretOpt !== undefined) w.message(21, (m) => writeSecret(m, secretOpt));
  if (SSHOpt !== undefined) w.message(22, (m) => writeSecret(m, SSHOpt));
  w.string(23, mount.resultID);
  w.int(24, mount.contentCache);
}

function writeSecret(w: ProtoWriter, secret: SecretMount): void {
  w.string(1, secret.ID);
  w.int(2, secret.uid);
  w.int(3, secret.gid);
  w.int(4, secret.mode);
  w.bool(5, secret.optional);
}

function writeAction(w: ProtoWriter, file: FileAction): void {
  w.int(1, file.input);
  w.int(2, file.secondaryInput);
  w.int(3, file.output);
  const { action } = file;
  switch (action.kind) {
    case 'copy': {
      w.message(4, (m) => writeCopy(m, action.copy));
      return;
    }
    case 'mkfile': {
      w.message(5, (m) => {
        m.string(1, action.mkfile.path);
        m.int(2, action.mkfile.mode);
        m.bytes(3, action.mkfile.data);
        writeOwner(m, 4, action.mkfile.owner);
        m.int(5, action.mkfile.timestamp);
      });
      return;
    }
    case 'mkdir': {
      w.message(6, (m) => {
        m.string(1, action.mkdir.path);
        m.int(2, action.mkdir.mode);
        m.bool(3, action.mkdir.makeParents);
        writeOwner(m, 4, action.mkdir.owner);
        m.int(5, action.mkdir.timestamp);
      });
      return;
    }
    case 'rm': {
      w.message(7, (m) => {
        m.string(1, action.rm.path);
        m.bool(2, action.rm.allowNotFound);
        m.bool(3, action.rm.allowWildcard);
      });
      return;
    }
    case 'symlink': {
      w.message(8, (m) => {
        m.string(1, action.symlink.oldpath);
        m.string(2, action.symlink.newpath);
        writeOwner(m, 3, action.symlink.owner);
        m.int(4, action.symlink.timestamp);
      });
      return;
    }
    default:
      return unreachable(action);
  }
}

function writeCopy(w: ProtoWriter, copy: FileActionCopy): void {
  w.string(1, copy.src);
  w.string(2, copy.dest);
  writeOwner(w, 3, copy.owner);
  w.int(4, copy.mode);
  w.bool(5, copy.followSymlink);
  w.bool(6, copy.dirCopyContents);
  w.bool(7, copy.attemptUnpackDockerCompatibility);
  w.bool(8, copy.createDestPath);
  w.bool(9, copy.allowWildcard);
  w.bool(10, copy.allowEmptyWildcard);
  w.int(11, copy.timestamp);
  w.strings(12, copy.include_patterns);
  w.strings(13, copy.exclude_patterns);
  w.bool(14, copy.alwaysReplaceExistingDestPaths);
  w.string(15, copy.modeStr);
  w.strings(16, copy.required_paths);
}

function writeOwner(w: ProtoWriter, field: number, owner: ChownOpt | undefined): void {
  if (owner === undefined) return;
  w.message(field, (m) => {
    if (owner.user !== undefined) writeUser(m, 1, owner.user);
    if (owner.group !== undefined) writeUser(m, 2, owner.group);
  });
}

function writeUser(w: ProtoWriter, field: number, user: UserOpt): void {
  w.message(field, (m) => {
    if (user.kind === 'byId') {
      m.presentInt(2, user.byId);
      return;
    }
    m.message(1, (named) => {
      named.string(1, user.name);
      named.int(2, user.input);
    });
  });
}
