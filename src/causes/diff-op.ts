import { type GoJson, goJson, sha256 } from '../base/index.ts';
import type { Change } from '../events/index.ts';
import {
  actionBodyJson,
  actionOwner,
  type ChownOpt,
  type ExecOp,
  type FileAction,
  type Mount,
  type Op,
  type UserOpt,
} from '../llb/index.ts';
import { changed, changedEntries } from './change.ts';

/** What differs between two ops of one step, their inputs aside. */
export function diffOps(before: Op, after: Op): readonly Change[] {
  const platform = changed('platform', 'platform', platformText(before), platformText(after));
  const [a, b] = [before.body, after.body];
  if (a.kind === 'exec' && b.kind === 'exec') return [...platform, ...diffExecs(a.exec, b.exec)];
  if (a.kind === 'file' && b.kind === 'file')
    return [...platform, ...diffFiles(a.file.actions, b.file.actions)];
  if (a.kind === 'source' && b.kind === 'source') {
    const source = changed('source', 'source', a.source.identifier, b.source.identifier);
    const attrs = changedEntries(
      'option',
      new Map(Object.entries(a.source.attrs)),
      new Map(Object.entries(b.source.attrs)),
    );
    return [...platform, ...source, ...attrs];
  }
  return [...platform, ...changed('option', 'operation', a.kind, b.kind)];
}

function diffExecs(before: ExecOp, after: ExecOp): Change[] {
  const [a, b] = [before.meta, after.meta];
  const list = (kind: 'option', name: string, one: readonly string[], two: readonly string[]) =>
    changed(kind, name, listText(one), listText(two));
  return [
    ...changed('command', 'command', commandText(a.args), commandText(b.args)),
    ...changedEntries('environment', variables(a.env), variables(b.env)),
    ...changed('option', 'working directory', a.cwd, b.cwd),
    ...changed('option', 'user', orUnset(a.user), orUnset(b.user)),
    ...changed('option', '--network', NETWORK[before.network], NETWORK[after.network]),
    ...changed('option', '--security', SECURITY[before.security], SECURITY[after.security]),
    ...changed('option', 'hostname', orUnset(a.hostname), orUnset(b.hostname)),
    ...changed('option', '--cgroup-parent', orUnset(a.cgroupParent), orUnset(b.cgroupParent)),
    ...list(
      'option',
      '--add-host',
      a.extraHosts.map((h) => h.Host),
      b.extraHosts.map((h) => h.Host),
    ),
    ...list('option', '--ulimit', a.ulimit.map(ulimitText), b.ulimit.map(ulimitText)),
    ...list(
      'option',
      '--device',
      before.cdiDevices.map((d) => d.name),
      after.cdiDevices.map((d) => d.name),
    ),
    ...changedEntries('secret', secretVariables(before), secretVariables(after)),
    ...diffMounts(before.mounts, after.mounts),
  ];
}

const NETWORK = ['default', 'host', 'none'] as const;
const SECURITY = ['sandbox', 'insecure'] as const;
const SHARING = ['shared', 'private', 'locked'] as const;
const MOUNT_TYPES = ['bind', 'secret', 'ssh', 'cache', 'tmpfs'] as const;

const orUnset = (value: string): string | undefined => (value === '' ? undefined : value);

const listText = (values: readonly string[]): string | undefined =>
  values.length === 0 ? undefined : values.join(' ');

const ulimitText = (u: ExecOp['meta']['ulimit'][number]): string => `${u.Name}=${u.Soft}:${u.Hard}`;

function secretVariables(exec: ExecOp): ReadonlyMap<string, string> {
  return new Map(exec.secretenv.map((s) => [s.name, `id=${s.ID}`]));
}

/** A shell form without its shell, any other as a list. */
function commandText(args: readonly string[]): string {
  const [shell, flag, script] = args;
  const isShell = args.length === 3 && flag === '-c' && shell?.endsWith('sh') === true;
  return isShell && script !== undefined ? script : goJson([...args]);
}

function variables(env: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    env.map((each) => {
      const at = each.indexOf('=');
      return at === -1 ? [each, ''] : [each.slice(0, at), each.slice(at + 1)];
    }),
  );
}

/** Mounts are known by their target; the root is the step's own and says nothing. */
function diffMounts(before: readonly Mount[], after: readonly Mount[]): Change[] {
  const byTarget = (mounts: readonly Mount[]): ReadonlyMap<string, Mount> =>
    new Map(mounts.filter((m) => m.dest !== '/').map((m) => [m.dest, m]));
  const [a, b] = [byTarget(before), byTarget(after)];
  return [...new Set([...a.keys(), ...b.keys()])].flatMap((dest) => {
    const [one, two] = [a.get(dest), b.get(dest)];
    const kind = isSecret(one) || isSecret(two) ? 'secret' : 'mount';
    return changed(kind, dest, mountText(one), mountText(two));
  });
}

const isSecret = (mount: Mount | undefined): boolean =>
  mount?.mountType === 1 || mount?.mountType === 2;

/** A mount as its flag would be written, without its target. */
function mountText(mount: Mount | undefined): string | undefined {
  if (mount === undefined) return undefined;
  const { mountType, cacheOpt, TmpfsOpt } = mount;
  const secret = mount.secretOpt ?? mount.SSHOpt;
  const fields = [
    `type=${MOUNT_TYPES[mountType]}`,
    ...(mount.input === -1 || mount.selector === '' ? [] : [`source=${mount.selector}`]),
    ...(cacheOpt === undefined
      ? []
      : [`id=${cacheOpt.ID}`, `sharing=${SHARING[cacheOpt.sharing]}`]),
    ...(TmpfsOpt === undefined || TmpfsOpt.size === 0 ? [] : [`size=${TmpfsOpt.size}`]),
    ...(secret === undefined
      ? []
      : [
          `id=${secret.ID}`,
          `uid=${secret.uid}`,
          `gid=${secret.gid}`,
          `mode=${secret.mode.toString(8).padStart(4, '0')}`,
          ...(secret.optional ? [] : ['required']),
        ]),
    ...(mountType === 0 && !mount.readonly ? ['rw'] : []),
    ...(mountType === 3 && mount.readonly ? ['ro'] : []),
  ];
  return fields.join(',');
}

/** File operations are compared action by action, member by member; a member's name becomes the option's. */
function diffFiles(before: readonly FileAction[], after: readonly FileAction[]): Change[] {
  const count = Math.max(before.length, after.length);
  return Array.from({ length: count }).flatMap((_, i) => {
    const [a, b] = [before[i], after[i]];
    return a !== undefined && a.action.kind === b?.action.kind
      ? changedEntries('option', memberTexts(a), memberTexts(b))
      : changed('option', 'file action', a?.action.kind, b?.action.kind);
  });
}

const OPTION_NAMES: Readonly<Record<string, string>> = {
  src: 'source',
  dest: 'destination',
  owner: '--chown',
  mode: '--chmod',
  modeStr: '--chmod',
  include_patterns: 'source patterns',
  exclude_patterns: '--exclude',
  data: 'inline file',
};

function memberTexts(file: FileAction): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  for (const [name, value] of Object.entries(actionBodyJson(file.action))) {
    if (value === undefined || (name === 'mode' && value === -1)) continue;
    texts.set(OPTION_NAMES[name] ?? name, memberText(name, value));
  }
  const owner = actionOwner(file);
  if (owner !== undefined) texts.set('--chown', ownerText(owner));
  return texts;
}

function memberText(name: string, value: GoJson): string {
  if (name === 'mode' && typeof value === 'number') return value.toString(8).padStart(4, '0');
  if (name === 'data' && typeof value === 'string')
    return `${Buffer.from(value, 'base64').length} bytes, ${sha256(value).slice(0, SHORT_DIGEST)}`;
  if (Array.isArray(value)) return value.join(' ');
  return typeof value === 'string' ? value : goJson(value);
}

/** `sha256:` and twelve digits. */
const SHORT_DIGEST = 19;

const ownerText = ({ user, group }: ChownOpt): string => [user, group].map(userText).join(':');

function userText(opt: UserOpt | undefined): string {
  if (opt === undefined) return '';
  return opt.kind === 'byId' ? String(opt.byId) : opt.name;
}

function platformText({ platform }: Op): string | undefined {
  if (platform === undefined) return undefined;
  const { OS, Architecture, Variant } = platform;
  return [OS, Architecture, ...(Variant === undefined || Variant === '' ? [] : [Variant])].join(
    '/',
  );
}
