import { chmodSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { err, failure, ok, type Result, resolveInRoot, TempDir } from '../base/index.ts';
import type { OpContext } from '../ports/index.ts';
import { inRoot, linkAt } from './root-path.ts';
import { canonicalRpmDatabase } from './rpm-database.ts';
import { canonicalAccounts } from './template-canonical.ts';
import { writeExtras } from './template-extras.ts';
import {
  PACKAGE_MOUNT,
  type RootDeps,
  type RootPlan,
  remaining,
  runInstaller,
} from './template-root.ts';

interface RpmRootDeps extends RootDeps {
  /** A directory for temporary files. */
  readonly workDir: string;
}

/** Where rpm and its libraries are seen inside the root while it is made. */
const TOOLS = '/run/varve-tools';
/** Loaders of dynamic libraries (System V ABI supplements), and directories in which libraries are. */
const LOADERS = [
  '/lib64/ld-linux-x86-64.so.2',
  '/lib/ld-linux-aarch64.so.1',
  '/lib/ld-linux.so.2',
  '/lib64/ld64.so.2',
  '/lib/ld-linux-riscv64-lp64d.so.1',
  '/lib/ld64.so.1',
];
const LIBRARIES = ['/lib64', '/usr/lib64', '/lib', '/usr/lib'];
/** What rpm is configured with. */
const CONFIGURATION = '/usr/lib/rpm';
const PROGRAMS = ['/usr/bin/rpm', '/bin/rpm'];
/** What rpm says when a script failed after which it goes on (%post, triggers). */
const SCRIPT_WARNING = /^warning: (%\w+\([^)]*\) scriptlet failed.*)$/gm;

/**
 * Makes a system of rpm packages: rpm itself, unpacked from packages of the same repositories beside the root, installs all of
 * them step by step, in a sandbox without network whose root is the new system. The result is what rpm leaves on a machine of its own,
 * in a form that does not tell in which order. PK050: the packages cannot be installed.
 */
export async function buildRpmRoot(
  plan: RootPlan,
  deps: RpmRootDeps,
  context: OpContext,
): Promise<Result<void>> {
  if (plan.fromNothing) makeMounted(plan.root);
  const installed =
    plan.packages.length === 0 ? ok(undefined) : await installAll(plan, deps, context);
  return installed.ok ? writeExtras(plan) : installed;
}

async function installAll(
  plan: RootPlan,
  deps: RpmRootDeps,
  context: OpContext,
): Promise<Result<void>> {
  const { epoch, lock, packages, root } = plan;
  await using tools = await TempDir.create(deps.workDir, 'rpm-tools-');
  const unpacked = await unpackTools(plan, deps, { context, dir: tools.path });
  if (!unpacked.ok) return unpacked;
  const command = rpmCommand(tools.path);
  if (!command.ok) return command;
  const dbPath = lock.rpm?.dbPath ?? '/var/lib/rpm';
  const limits = remaining(deps, context);
  const last = packages.reduce((max, p) => Math.max(max, p.locked.step), 0);
  for (let step = 0; step <= last; step++) {
    const files = packages.filter((p) => p.locked.step === step).map((p) => p.file);
    if (files.length === 0) continue;
    const installed = await runInstaller(plan, deps, {
      ...{ context, limits: limits(), id: `${deps.id}-rpm-${step}`, program: 'rpm' },
      args: [...command.value, ...ARGUMENTS, '--dbpath', dbPath, ...files.map(mounted)],
      env: existsSync(join(tools.path, CONFIGURATION))
        ? [`RPM_CONFIGDIR=${TOOLS}${CONFIGURATION}`]
        : [],
      mounts: [{ kind: 'bind', source: tools.path, target: TOOLS, readonly: true }],
      ownNetworkFiles: true,
    });
    if (!installed.ok) return installed;
    for (const [, message = ''] of installed.value.join('\n').matchAll(SCRIPT_WARNING))
      context.emit({ type: 'warning', vertex: context.vertex.digest, rule: 'RpmScript', message });
  }
  canonicalAccounts(root, {
    ...{ epoch, numbers: SYSTEM_NUMBERS },
    uids: lock.users.map((u) => u.uid),
    gids: lock.users.map((u) => u.gid),
  });
  return canonicalRpmDatabase(inRoot(root, dbPath), epoch);
}

const mounted = (file: string): string => `${PACKAGE_MOUNT}/${file}`;

/** Numbers that useradd(8) and systemd-sysusers(8) choose, from the last down; below them scripts name the number. */
const SYSTEM_NUMBERS = { lowest: 500, first: 500, last: 999 };

/** Directories that something is mounted on while rpm runs, which it may not change (rpm's `%_netsharedpath`); modes. */
const MOUNTED = [
  ['dev', 0o755],
  ['proc', 0o555],
  ['sys', 0o555],
] as const;

const ARGUMENTS = [
  ...['--install', '--nosignature', '--noplugins', '--define'],
  `_netsharedpath ${MOUNTED.map(([dir]) => `/${dir}`).join(':')}`,
];

/** Makes the directories that are mounted on, and that of the mounts of packages and tools: none of them is a stub then. */
function makeMounted(root: string): void {
  chmodSync(root, 0o755);
  for (const [dir, mode] of [...MOUNTED, ['run', 0o755] as const]) {
    mkdirSync(join(root, dir), { recursive: true });
    chmodSync(join(root, dir), mode);
  }
}

/** `filesystem` first: it brings the links of a merged /usr, which other packages' files go through. */
async function unpackTools(
  plan: RootPlan,
  deps: RpmRootDeps,
  to: { readonly context: OpContext; readonly dir: string },
): Promise<Result<void>> {
  const all = plan.tools ?? [];
  const order = [
    ...all.filter((t) => t.locked.name === 'filesystem'),
    ...all.filter((t) => t.locked.name !== 'filesystem'),
  ];
  for (const { path } of order) {
    const extracted = await deps.packages.extract(path, to.dir, to.context);
    if (!extracted.ok) return extracted;
  }
  return ok(undefined);
}

/** How rpm is started with its own loader and libraries, so that the new system needs neither. */
function rpmCommand(tools: string): Result<readonly string[]> {
  const inside = (path: string): string | undefined => {
    const at = resolveInRoot(path, (p) => linkAt(join(tools, p)));
    return at !== undefined && existsSync(join(tools, at)) ? at : undefined;
  };
  const [program] = PROGRAMS.flatMap((path) => inside(path) ?? []);
  if (program === undefined)
    return err(
      failure('PK050', 2, 'the tools of the template do not have the program rpm', {
        help: 'name the package that brings rpm under "tools:"',
      }),
    );
  const [loader] = LOADERS.flatMap((path) => inside(path) ?? []);
  const libraries = [...new Set(LIBRARIES.flatMap((path) => inside(path) ?? []))];
  if (loader === undefined) return ok([TOOLS + program]);
  const path = libraries.map((dir) => TOOLS + dir).join(':');
  return ok([TOOLS + loader, '--library-path', path, TOOLS + program]);
}
