import {
  chmodSync,
  lstatSync,
  readdirSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { err, failure, makeImageDirectory, ok, type Result } from '../base/index.ts';
import type {
  Clock,
  OpContext,
  Packages,
  Sandbox,
  SandboxLimits,
  SandboxMount,
} from '../ports/index.ts';
import type { LockedPackage, TemplateLock } from '../template/index.ts';
import { inRoot } from './root-path.ts';
import { endText, type LimitDeps, memoryText } from './step-limits.ts';
import { canonicalRoot } from './template-canonical.ts';
import { writeExtras } from './template-extras.ts';

/** A package and the name of its file in the package directory. */
export interface LocalPackage {
  readonly locked: LockedPackage;
  readonly file: string;
}

/** A root file system to be made. */
export interface RootPlan {
  /** A directory that nothing else writes to. */
  readonly root: string;
  /** The directory is empty; otherwise it holds a root with the lock's other packages. */
  readonly fromNothing: boolean;
  readonly lock: TemplateLock;
  /** The packages to be installed. */
  readonly packages: readonly LocalPackage[];
  /** Directory that holds the packages' files and nothing else. */
  readonly packageDir: string;
  /** Of rpm: what installs the packages. */
  readonly tools?: readonly { readonly locked: LockedPackage; readonly path: string }[];
  /** Seconds since the epoch: what maintainer scripts see as SOURCE_DATE_EPOCH. */
  readonly epoch: number;
}

/** What making a root file system needs. */
export interface RootDeps extends LimitDeps {
  readonly packages: Packages;
  readonly sandbox: Sandbox;
  readonly clock: Clock;
  /** Unique name for the sandboxes. */
  readonly id: string;
}

/** Where the packages' files are seen inside the root while it is made. */
export const PACKAGE_MOUNT = '/run/varve-packages';
/** Lines of dpkg's output that a failure shows. */
const TAIL_LINES = 20;

/**
 * Makes a Debian system: the packages that dpkg itself needs are extracted from outside, then all are installed by the
 * root's own dpkg, step by step, in a sandbox without network where no service can be started. The result is what dpkg
 * leaves on a machine of its own. PK050: a package cannot be installed.
 */
export async function buildRoot(
  plan: RootPlan,
  deps: RootDeps,
  context: OpContext,
): Promise<Result<void>> {
  const bootstrapped = plan.fromNothing ? await bootstrap(plan, deps, context) : ok(undefined);
  if (!bootstrapped.ok) return bootstrapped;
  const limits = remaining(deps, context);
  const last = plan.packages.reduce((max, p) => Math.max(max, p.locked.step), 0);
  for (let step = 0; step <= last; step++) {
    const files = plan.packages.filter((p) => p.locked.step === step).map((p) => p.file);
    const installed =
      files.length === 0
        ? ok(undefined)
        : await install(plan, deps, { context, step, files, limits });
    if (!installed.ok) return installed;
  }
  canonicalRoot(plan.root, {
    epoch: plan.epoch,
    uids: plan.lock.users.map((u) => u.uid),
    gids: plan.lock.users.map((u) => u.gid),
  });
  return writeExtras(plan);
}

/** base-files first: whether it brings the links of a merged /usr decides whether they are made here. */
async function bootstrap(
  plan: RootPlan,
  deps: RootDeps,
  context: OpContext,
): Promise<Result<void>> {
  const first = plan.packages.filter((p) => p.locked.step === 0);
  const order = [
    ...first.filter((p) => p.locked.name === 'base-files'),
    ...first.filter((p) => p.locked.name !== 'base-files'),
  ];
  chmodSync(plan.root, 0o755);
  for (const [i, { file }] of order.entries()) {
    const extracted = await deps.packages.extract(join(plan.packageDir, file), plan.root, context);
    if (!extracted.ok) return extracted;
    if (i === 0) mergeUsr(plan.root, plan.lock.architecture);
  }
  const inDatabase = (name: string): string => inRoot(plan.root, `var/lib/dpkg/${name}`);
  for (const dir of ['info', 'updates', 'triggers', 'parts']) makeImageDirectory(inDatabase(dir));
  for (const name of ['status', 'available']) {
    writeFileSync(inDatabase(name), '', { flag: 'a' });
    chmodSync(inDatabase(name), 0o644);
  }
  return ok(undefined);
}

/** Directories for libraries of other ABIs that Debian 12 links beside /lib (debootstrap's `setup_merged_usr`). */
const LIBRARY_DIRS: Readonly<Record<string, readonly string[]>> = {
  amd64: ['lib32', 'lib64', 'libx32'],
  i386: ['lib64', 'libx32'],
  ppc64el: ['lib64'],
  s390x: ['lib32'],
  loong64: ['lib64'],
};

/** Replaces /bin, /sbin and /lib by links into /usr where base-files does not bring them (Debian before 13). */
function mergeUsr(root: string, architecture: string): void {
  if (lstatSync(join(root, 'bin'), { throwIfNoEntry: false })?.isSymbolicLink() === true) return;
  for (const name of ['bin', 'sbin', 'lib', ...(LIBRARY_DIRS[architecture] ?? [])]) {
    const [top, target] = [join(root, name), join(root, 'usr', name)];
    makeImageDirectory(target);
    if (lstatSync(top, { throwIfNoEntry: false })?.isDirectory() === true) {
      for (const entry of readdirSync(top)) renameSync(join(top, entry), join(target, entry));
      rmdirSync(top);
    }
    symlinkSync(`usr/${name}`, top);
  }
}

/** Tells invoke-rc.d to start nothing (Debian's policy-rc.d interface): there is no init in the root. */
const POLICY = '#!/bin/sh\nexit 101\n';

async function install(
  plan: RootPlan,
  deps: RootDeps,
  what: {
    readonly context: OpContext;
    readonly step: number;
    readonly files: readonly string[];
    readonly limits: () => SandboxLimits | undefined;
  },
): Promise<Result<void>> {
  const { context, step, files, limits } = what;
  const ended = await runInstaller(plan, deps, {
    ...{ context, limits: limits(), id: `${deps.id}-${step}`, env: [] },
    // Step 0 holds dpkg's own needs, already extracted: their order among themselves does not matter.
    args: [
      'dpkg',
      '--force-unsafe-io',
      ...(step === 0 ? ['--force-depends'] : []),
      '--install',
      ...files.map((file) => `${PACKAGE_MOUNT}/${file}`),
    ],
    mounts: [
      {
        kind: 'secret',
        data: Buffer.from(POLICY),
        target: '/usr/sbin/policy-rc.d',
        mode: 0o755,
        uid: 0,
        gid: 0,
      },
    ],
    program: 'dpkg',
  });
  return ended.ok ? ok(undefined) : ended;
}

/** One run of the program that installs packages. */
interface Installer {
  readonly context: OpContext;
  readonly id: string;
  readonly program: 'dpkg' | 'rpm';
  readonly args: readonly string[];
  /** Packages may have `/etc/hosts` and `/etc/resolv.conf`. */
  readonly ownNetworkFiles?: boolean;
  /** Beside what every installer sees. */
  readonly env: readonly string[];
  /** Beside the packages, which are at `PACKAGE_MOUNT`. */
  readonly mounts: readonly SandboxMount[];
  readonly limits: SandboxLimits | undefined;
}

/** Runs an installer in the root, without network; the last lines of its output. PK050: it fails. */
export async function runInstaller(
  plan: RootPlan,
  deps: RootDeps,
  what: Installer,
): Promise<Result<readonly string[]>> {
  const { context, limits, program } = what;
  const held = { limits: deps.limitsOf?.(nameOf(context)), group: deps.group };
  const tail = new Tail();
  const exit = await deps.sandbox.run(
    {
      id: what.id,
      rootfs: plan.root,
      args: what.args,
      env: [...environment(plan.epoch), ...what.env],
      cwd: '/',
      user: { uid: 0, gid: 0, additionalGids: [] },
      hostname: 'localhost',
      network: 'none',
      security: 'sandbox',
      mounts: [
        { kind: 'bind', source: plan.packageDir, target: PACKAGE_MOUNT, readonly: true },
        ...what.mounts,
      ],
      extraHosts: [],
      ulimits: [],
      ...(limits === undefined ? {} : { limits }),
      ...(deps.group === undefined ? {} : { group: deps.group }),
      removeMountStubs: true,
      ...(what.ownNetworkFiles === true ? { ownNetworkFiles: true } : {}),
    },
    {
      signal: context.signal,
      output: (stream, data) => {
        tail.add(data);
        const at = deps.clock.now();
        context.emit({ type: 'log', vertex: context.vertex.digest, at, stream, data });
      },
    },
  );
  if (!exit.ok) return exit;
  if (exit.value.code === 0 && !exit.value.timedOut) return ok(tail.lines());
  return err(
    failure('PK050', 1, `${program} cannot install the packages (${endText(exit.value, held)})`, {
      details: tail.lines(),
      help: memoryText(exit.value, held) ?? 'the output above names the package and its script',
    }),
  );
}

const nameOf = ({ vertex }: OpContext): string =>
  vertex.metadata.description['llb.customname'] ?? '';

/** The limits of the step, whose runs of dpkg share its time. */
export function remaining(deps: RootDeps, context: OpContext): () => SandboxLimits | undefined {
  const began = deps.clock.now();
  return () => {
    const limits = deps.limitsOf?.(nameOf(context));
    if (limits?.timeoutMs === undefined) return limits;
    return { ...limits, timeoutMs: Math.max(1, limits.timeoutMs - (deps.clock.now() - began)) };
  };
}

function environment(epoch: number): string[] {
  return [
    'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    'HOME=/root',
    'LC_ALL=C.UTF-8',
    'TZ=UTC',
    'DEBIAN_FRONTEND=noninteractive',
    'DEBCONF_NONINTERACTIVE_SEEN=true',
    'PYTHONHASHSEED=0',
    // An initramfs depends on all packages: whoever boots the root makes it (/etc/kernel/postinst.d/initramfs-tools).
    'INITRD=No',
    `SOURCE_DATE_EPOCH=${epoch}`,
  ];
}

/** The last lines of an output. */
class Tail {
  #text = '';

  add(data: Uint8Array): void {
    this.#text = (this.#text + Buffer.from(data).toString('utf8')).slice(-16_384);
  }

  lines(): string[] {
    return this.#text.trimEnd().split('\n').slice(-TAIL_LINES);
  }
}
