import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  readSync,
  statSync,
} from 'node:fs';
import {
  type Digest,
  err,
  FailureError,
  failure,
  fsPath,
  isErrno,
  ok,
  type Result,
  resolveInRoot,
} from '../base/index.ts';
import { quoteGo } from '../dockerfile/index.ts';
import type { ExecOp, SecretEnv } from '../llb/index.ts';
import type {
  CacheMap,
  Clock,
  OpContext,
  OpDriver,
  OpResult,
  Sandbox,
  SandboxExit,
  SandboxGroup,
  SandboxLimits,
  SandboxSpec,
} from '../ports/index.ts';
import { execEnv, proxyPasswords } from './exec-env.ts';
import { execFormatHelp } from './exec-format.ts';
import { ExecMounts, extraHosts, type MountDeps, secretMissing } from './exec-mounts.ts';
import { OutputTail } from './exec-output.ts';
import { type ExecUser, lookUpUser } from './exec-user.ts';
import { contentKeyOf, keyOf } from './op-keys.ts';
import { SecretMask } from './secret-mask.ts';
import { endText, type HeldLimits, type LimitDeps, memoryText } from './step-limits.ts';
import { MAX_USER_FILE_BYTES } from './user-database.ts';

/** What exec ops need. One driver serves one build: it remembers which cache mounts the build has used. */
export interface ExecDriverDeps extends Omit<MountDeps, 'startsEmpty'>, LimitDeps {
  readonly sandbox: Sandbox;
  readonly clock: Clock;
  /** Where the full log of a step is kept. */
  readonly logPath?: (vertex: Digest) => string | undefined;
}

/** Host name of a step that does not say (BuildKit's). */
const HOSTNAME = 'buildkitsandbox';

/** The driver of exec ops (`pb.ExecOp`). */
export function createExecDriver(deps: ExecDriverDeps): OpDriver {
  const usedCaches = new Set<string>();
  return {
    cacheMap: (context): Promise<Result<CacheMap>> => Promise.resolve(keyOf(context.vertex.op)),
    contentKey: async (context, index, input): Promise<Result<Digest>> =>
      await contentKeyOf(context, deps.trees, { index, input }),
    run: async (context, inputs) => {
      const { body } = context.vertex.op;
      if (body.kind !== 'exec') throw new Error(`an exec driver was given a ${body.kind} op`);
      // Without cache the first step of a build that uses a cache mount finds it empty.
      const startsEmpty = (id: string): boolean => {
        const first = !usedCaches.has(id);
        usedCaches.add(id);
        return first && context.vertex.metadata.ignoreCache;
      };
      try {
        return await runExec({ ...deps, startsEmpty }, context, { op: body.exec, inputs });
      } catch (e) {
        if (e instanceof FailureError) return err(e.failure);
        throw e;
      }
    },
  };
}

async function runExec(
  deps: ExecDriverDeps & MountDeps,
  context: OpContext,
  work: { readonly op: ExecOp; readonly inputs: readonly OpResult[] },
): Promise<Result<readonly (OpResult | undefined)[]>> {
  const { op } = work;
  const { signal, emit, vertex } = context;
  refuseDevices(op);
  await using mounts = new ExecMounts(deps, context, work.inputs);
  await mounts.prepare(op);
  const user = lookUpUser(op.meta.user, () => userFiles(mounts.root));
  if (!user.ok) return user;
  makeWorkingDirectory(mounts.root, op.meta.cwd, user.value);
  const secrets = await secretVariables(op.secretenv, deps, signal);
  const tail = new OutputTail();
  const env = execEnv(
    op.meta,
    secrets.map(({ name, value }) => `${name}=${Buffer.from(value).toString('utf8')}`),
  );
  const limits = deps.limitsOf?.(context.vertex.metadata.description['llb.customname'] ?? '');
  const proxies = proxyPasswords(op.meta.proxy_env ?? {});
  const secretEnv = secrets.length > 0 || proxies.length > 0;
  const parts = { mounts, user: user.value, env, secretEnv, limits, group: deps.group };
  const spec = sandboxSpec(op, parts);
  const values = [
    ...proxies,
    ...secrets.map((secret) => secret.value),
    ...mounts.mounts.flatMap((mount) => (mount.kind === 'secret' ? [mount.data] : [])),
  ];
  const masks = { 1: new SecretMask(values), 2: new SecretMask(values) };
  const say = (stream: 1 | 2, data: Uint8Array): void => {
    if (data.length === 0) return;
    tail.add(data);
    emit({ type: 'log', vertex: vertex.digest, at: deps.clock.now(), stream, data });
  };
  const exit = await deps.sandbox.run(spec, {
    signal,
    output: (stream, data) => say(stream, masks[stream].push(data)),
  });
  for (const stream of [1, 2] as const) say(stream, masks[stream].end());
  if (!exit.ok) return exit;
  const codes = op.meta.validExitCodes.length === 0 ? [0] : op.meta.validExitCodes;
  if (exit.value.timedOut || !codes.includes(exit.value.code))
    return stepFailure(op, exit.value, {
      root: mounts.root,
      tail,
      limits,
      group: deps.group,
      log: deps.logPath?.(vertex.digest),
    });
  return ok(await mounts.commit(deps.clock.now()));
}

function sandboxSpec(
  op: ExecOp,
  parts: {
    readonly mounts: ExecMounts;
    readonly user: ExecUser;
    readonly env: readonly string[];
    readonly secretEnv: boolean;
    readonly limits: SandboxLimits | undefined;
    readonly group: SandboxGroup | undefined;
  },
): SandboxSpec {
  const { meta } = op;
  const { limits, group } = parts;
  return {
    id: randomBytes(12).toString('hex'),
    rootfs: parts.mounts.root,
    readonlyRootfs: parts.mounts.readonlyRoot,
    args: meta.args,
    env: parts.env,
    ...(parts.secretEnv ? { secretEnv: true } : {}),
    cwd: meta.cwd === '' ? '/' : meta.cwd,
    user: parts.user,
    hostname: meta.hostname === '' ? HOSTNAME : meta.hostname,
    network: NETWORKS[op.network],
    security: op.security === 1 ? 'insecure' : 'sandbox',
    mounts: parts.mounts.mounts,
    extraHosts: extraHosts(op),
    ulimits: meta.ulimit.map(({ Name, Soft, Hard }) => ({ name: Name, soft: Soft, hard: Hard })),
    ...(meta.cgroupParent === '' ? {} : { cgroupParent: meta.cgroupParent }),
    ...(limits === undefined ? {} : { limits }),
    ...(group === undefined ? {} : { group }),
    removeMountStubs: meta.removeMountStubsRecursive,
  };
}

const NETWORKS = { 0: 'default', 1: 'host', 2: 'none' } as const;

function refuseDevices(op: ExecOp): void {
  const needed = op.cdiDevices.find((device) => !device.optional);
  if (needed !== undefined)
    throw new FailureError(
      failure('SB008', 1, `device ${needed.name} is required, and CDI devices are not supported`),
    );
}

/** The secrets that go into the environment; an optional one that is absent is empty, as BuildKit's. */
async function secretVariables(
  wanted: readonly SecretEnv[],
  deps: MountDeps,
  signal: AbortSignal,
): Promise<{ readonly name: string; readonly value: Uint8Array }[]> {
  const variables: { readonly name: string; readonly value: Uint8Array }[] = [];
  for (const { ID, name, optional } of wanted) {
    const data = await deps.secrets.secret(ID, signal);
    if (data === undefined && !optional) throw secretMissing(ID);
    variables.push({ name, value: data ?? new Uint8Array() });
  }
  return variables;
}

/** The user databases of the root, symbolic links followed inside it only. */
function userFiles(root: string): {
  readonly passwd: string | undefined;
  readonly group: string | undefined;
} {
  const read = (path: string): string | undefined => {
    const at = inRoot(root, path);
    try {
      const stat = statSync(at);
      return stat.isFile() && stat.size <= MAX_USER_FILE_BYTES
        ? readFileSync(at, 'utf8')
        : undefined;
    } catch (e) {
      if (isErrno(e, 'ENOENT', 'ENOTDIR')) return undefined;
      throw e;
    }
  };
  return { passwd: read('/etc/passwd'), group: read('/etc/group') };
}

/** An earlier step may have removed the working directory: it is made again, owned by the user, as BuildKit does. */
function makeWorkingDirectory(root: string, cwd: string, user: ExecUser): void {
  const path = inRoot(root, cwd);
  const missing: string[] = [];
  for (let at = path; at !== root && !exists(at); at = at.slice(0, at.lastIndexOf('/')))
    missing.unshift(at);
  for (const dir of missing) {
    try {
      mkdirSync(fsPath(dir), 0o755);
    } catch (e) {
      if (!isErrno(e, 'ENOTDIR', 'EEXIST', 'EROFS')) throw e;
      throw new FailureError(
        failure('SB009', 1, `failed to create working directory ${cwd}`, { cause: e }),
      );
    }
    chmodSync(fsPath(dir), 0o755);
    chownSync(fsPath(dir), user.uid, user.gid);
  }
  if (!lstatSync(fsPath(path)).isDirectory())
    throw new FailureError(failure('SB009', 1, `working directory ${cwd} is no directory`));
}

function exists(path: string): boolean {
  try {
    return lstatSync(fsPath(path), { throwIfNoEntry: false }) !== undefined;
  } catch (e) {
    if (isErrno(e, 'ENOTDIR')) return false;
    throw e;
  }
}

function inRoot(root: string, path: string): string {
  const at = resolveInRoot(path, (p) => {
    const full = fsPath(root + p);
    return lstatSync(full, { throwIfNoEntry: false })?.isSymbolicLink() === true
      ? readlinkSync(full)
      : undefined;
  });
  if (at === undefined)
    throw new FailureError(failure('SB009', 1, `${path}: too many levels of symbolic links`));
  return at === '/' ? root : root + at;
}

/** The first bytes of a regular file; undefined when there is none. */
function startOf(path: string): Uint8Array | undefined {
  if (lstatSync(fsPath(path), { throwIfNoEntry: false })?.isFile() !== true) return undefined;
  const fd = openSync(fsPath(path), constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const start = Buffer.alloc(64);
    return start.subarray(0, readSync(fd, start));
  } finally {
    closeSync(fd);
  }
}

/** The failure of a step, in BuildKit's words, with the end of its output. */
function stepFailure(
  op: ExecOp,
  exit: SandboxExit,
  more: HeldLimits & {
    readonly root: string;
    readonly tail: OutputTail;
    readonly log: string | undefined;
  },
): Result<never> {
  const command = quoteGo(op.meta.args.join(' '));
  const lines = more.tail.lines();
  const help =
    memoryText(exit, more) ?? execFormatHelp(lines, (path) => startOf(inRoot(more.root, path)));
  const details = [...lines, ...(more.log === undefined ? [] : [`full log: ${more.log}`])];
  return err(
    failure(
      'SB010',
      1,
      `process ${command} did not complete successfully: ${endText(exit, more)}`,
      {
        ...(help === undefined ? {} : { help }),
        ...(details.length === 0 ? {} : { details }),
      },
    ),
  );
}
