import { byCodeUnit } from '../base/index.ts';
import type {
  CacheSharing,
  CdiDevice,
  ExecMeta,
  Mount,
  NetMode,
  OpInput,
  OpMetadata,
  OpPlatform,
  SecretEnv,
  SecretMount,
  SecurityMode,
} from '../llb/index.ts';
import { indexOf, uniqueOutputs } from './file-node.ts';
import type { LazyNode, LazyOutput } from './lazy-graph.ts';

/** A mount of a step as planned: what is mounted, not yet its place among the op's inputs. */
export interface PlannedMount {
  readonly dest: string;
  /** Undefined is scratch. */
  readonly from: LazyOutput | undefined;
  readonly selector?: string;
  readonly readonly?: boolean;
  readonly noOutput?: boolean;
  readonly tmpfs?: { readonly size: number };
  readonly cache?: { readonly ID: string; readonly sharing: CacheSharing };
}

/** A secret or an SSH agent of a step. */
export interface PlannedSecret {
  readonly dest: string;
  readonly secret: SecretMount;
}

/** A step as planned (BuildKit `llb.ExecOp`). */
export interface PlannedExec {
  readonly meta: ExecMeta;
  readonly root: LazyOutput | undefined;
  readonly mounts: readonly PlannedMount[];
  readonly secrets: readonly PlannedSecret[];
  readonly secretEnv: readonly SecretEnv[];
  readonly ssh: readonly PlannedSecret[];
  readonly devices: readonly CdiDevice[];
  readonly network: NetMode;
  readonly security: SecurityMode;
  readonly platform: OpPlatform;
  readonly metadata: Partial<OpMetadata>;
}

/** The op of a step (BuildKit client/llb/exec.go, `Marshal`): mounts by target, then secrets, then agents. */
export function execNode(exec: PlannedExec): LazyOutput {
  const mounted: PlannedMount[] = [{ dest: '/', from: exec.root }, ...exec.mounts];
  const planned = mounted.sort((a, b) => byCodeUnit(a.dest, b.dest));
  const build: LazyNode['build'] = (input) => {
    const inputs: OpInput[] = [];
    const mounts = buildMounts(exec, planned, (o) => indexOf(inputs, o, input));
    return {
      inputs,
      body: {
        kind: 'exec',
        exec: {
          meta: exec.meta,
          mounts,
          network: exec.network,
          security: exec.security,
          secretenv: exec.secretEnv,
          cdiDevices: exec.devices,
        },
      },
      platform: exec.platform,
      constraints: [],
    };
  };
  const before = uniqueOutputs(planned.map((m) => m.from));
  const metadata = { ...exec.metadata, caps: capsOf(exec) };
  // The root file system is the first output: its target sorts before all others.
  return { node: { before, build, metadata }, index: 0 };
}

const PLAIN = { selector: '', readonly: false, resultID: '', contentCache: 0 } as const;

function buildMounts(
  exec: PlannedExec,
  planned: readonly PlannedMount[],
  index: (from: LazyOutput | undefined) => number,
): Mount[] {
  let outputs = 0;
  const mounts = planned.map((m): Mount => {
    const kept =
      m.noOutput !== true && m.readonly !== true && m.tmpfs === undefined && m.cache === undefined;
    return {
      ...PLAIN,
      input: index(m.from),
      selector: m.selector ?? '',
      dest: m.dest,
      output: kept ? outputs++ : -1,
      readonly: m.readonly ?? false,
      mountType: m.cache !== undefined ? 3 : m.tmpfs !== undefined ? 4 : 0,
      ...(m.tmpfs === undefined ? {} : { TmpfsOpt: m.tmpfs }),
      ...(m.cache === undefined ? {} : { cacheOpt: m.cache }),
    };
  });
  for (const { dest, secret } of exec.secrets)
    mounts.push({ ...PLAIN, input: -1, dest, output: 0, mountType: 1, secretOpt: secret });
  for (const { dest, secret } of exec.ssh)
    mounts.push({ ...PLAIN, input: -1, dest, output: 0, mountType: 2, SSHOpt: secret });
  return mounts;
}

function capsOf(exec: PlannedExec): string[] {
  const { mounts, meta } = exec;
  const caps = ['exec.meta.base'];
  if (exec.devices.length > 0) caps.push('exec.meta.cdi');
  if (exec.network !== 0) caps.push('exec.meta.network');
  if (meta.proxy_env !== undefined) caps.push('exec.meta.proxyenv');
  if (exec.security !== 0) caps.push('exec.meta.security');
  caps.push('exec.meta.setsdefaultpath');
  if (meta.ulimit.length > 0) caps.push('exec.meta.ulimit');
  caps.push('exec.mount.bind');
  if (mounts.some((m) => m.cache !== undefined))
    caps.push('exec.mount.cache', 'exec.mount.cache.sharing');
  if (exec.secrets.length > 0 || exec.secretEnv.length > 0) caps.push('exec.mount.secret');
  if (mounts.some((m) => (m.selector ?? '') !== '')) caps.push('exec.mount.selector');
  if (exec.ssh.length > 0) caps.push('exec.mount.ssh');
  if (mounts.some((m) => m.tmpfs !== undefined)) caps.push('exec.mount.tmpfs');
  if (mounts.some((m) => (m.tmpfs?.size ?? 0) > 0)) caps.push('exec.mount.tmpfs.size');
  if (exec.secretEnv.length > 0) caps.push('exec.secretenv');
  return caps;
}
