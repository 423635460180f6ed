import { spawnSync } from 'node:child_process';
import { accessSync, constants, mkdirSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeDirectory, TempDir } from '../../base/index.ts';
import { findProgram, readText } from '../host-programs.ts';
import { type Io, printJson, table } from '../io.ts';
import { formatBytes } from '../progress/text.ts';
import { FORM, snapshotForm } from '../snapshot-form.ts';
import { storeRoot } from '../store-root.ts';
import { namespaceEntry, OUTER_USER } from '../user-namespace.ts';

/** What one check found; `mend` is a command or a sentence that helps. */
export interface Check {
  readonly name: string;
  readonly state: 'ok' | 'limited' | 'missing';
  readonly found: string;
  readonly mend?: string;
}

/** Below this much free space builds of common size fail. */
const LITTLE_SPACE = 2e9;

/** `varve doctor`: exit code 3 when something that every build needs is missing. */
export async function doctorCommand(
  io: Io,
  options: Readonly<Record<string, unknown>>,
): Promise<number> {
  const checks = await runChecks(io);
  if (options['json'] === true) for (const c of checks) printJson(io, { ...c });
  else {
    io.out(table(checks.map((c) => [c.state, c.name, c.found])));
    for (const c of checks) if (c.mend !== undefined) io.out(`\n${c.name}: ${c.mend}\n`);
  }
  return checks.some((c) => c.state === 'missing') ? 3 : 0;
}

async function runChecks(io: Io): Promise<readonly Check[]> {
  const root = storeRoot(io);
  const store = checkStore(root);
  return [
    { name: 'node', state: 'ok', found: process.version },
    checkUser(io),
    store,
    ...(store.state === 'missing'
      ? []
      : [checkSpace(root), await checkOverlay(io, root), await checkErofs(io, root)]),
    checkRuntime(io),
    checkCgroups(io),
    checkSeccomp(),
    tool(io, 'git', { needed: 'git contexts and ADD of repositories', install: 'git' }),
    tool(io, 'docker', { needed: '--load', install: 'docker.io' }),
  ];
}

function checkUser(io: Io): Check {
  const outer = io.env[OUTER_USER];
  if (io.uid === 0 && outer !== undefined)
    return { name: 'user', state: 'ok', found: `uid ${outer}, root of a user namespace` };
  if (io.uid === 0) return { name: 'user', state: 'ok', found: 'root' };
  const entry = namespaceEntry({ uid: io.uid, path: io.env['PATH'] ?? '' });
  return {
    name: 'user',
    state: 'missing',
    found: entry.ok ? `uid ${io.uid}` : `uid ${io.uid}: ${entry.error.message}`,
    mend: (entry.ok ? undefined : entry.error.help) ?? 'run "sudo varve …"',
  };
}

function checkStore(root: string): Check {
  try {
    makeDirectory(root);
    accessSync(root, constants.W_OK);
    return { name: 'store', state: 'ok', found: root };
  } catch (e) {
    if (!(e instanceof Error)) throw e;
    return {
      name: 'store',
      state: 'missing',
      found: `${root}: ${e.message}`,
      mend: 'set VARVE_ROOT to a directory that you may write',
    };
  }
}

function checkSpace(root: string): Check {
  const { bavail, bsize } = statfsSync(root);
  const free = bavail * bsize;
  const found = `${formatBytes(free)} free`;
  if (free > LITTLE_SPACE) return { name: 'disk space', state: 'ok', found };
  return {
    name: 'disk space',
    state: 'limited',
    found,
    mend: 'make room, or set VARVE_ROOT to a directory on a larger disk',
  };
}

/** Mounts an overlay below the store: the one proof that kernel, file system and rights are there. */
async function checkOverlay(io: Io, root: string): Promise<Check> {
  const name = 'overlay mounts';
  if (io.uid !== 0) return { name, state: 'missing', found: 'not tried without root' };
  await using tmp = await TempDir.create(join(root, 'tmp'), 'doctor-');
  const dir = (part: string): string => {
    const path = join(tmp.path, part);
    mkdirSync(path);
    return path;
  };
  const lower = dir('lower');
  writeFileSync(join(lower, 'file'), '');
  const target = dir('merged');
  const { inUserNamespace, mountOverlay, unmount } = await import('../../sys/index.ts');
  try {
    mountOverlay({
      lower: [lower],
      upper: { dir: dir('upper'), work: dir('work') },
      target,
      userXattrs: inUserNamespace(),
    });
  } catch (e) {
    if (!(e instanceof Error) || !('code' in e)) throw e;
    return {
      name,
      state: 'missing',
      found: e.message,
      mend: 'run "modprobe overlay"; in a container it must be privileged, and the store must not lie on an overlay itself: mount a volume at the store',
    };
  }
  unmount(target);
  return { name, state: 'ok', found: 'a test mount worked' };
}

/** Whether layers can be mounted where they are; without it they are extracted, which always works. */
async function checkErofs(io: Io, root: string): Promise<Check> {
  const name = 'EROFS layers';
  const form = snapshotForm(io.env);
  const { obstacleToMounting } = await import('../../snapshot/index.ts');
  const obstacle =
    io.uid === 0 ? await obstacleToMounting(join(root, 'tmp')) : 'not tried without root';
  if (obstacle === undefined) {
    const how = form.ok && form.value === 'erofs' ? 'used' : `not used, because of ${FORM}`;
    return { name, state: 'ok', found: `a test mount worked: ${how}` };
  }
  const isAsked = io.env[FORM] === 'erofs';
  return {
    name,
    state: isAsked ? 'limited' : 'ok',
    found: `layers are extracted: ${obstacle}`,
    ...(isAsked
      ? {
          mend: 'needs root, Linux 6.12 with CONFIG_EROFS_FS_BACKED_BY_FILE, and a store that does not lie on an overlay',
        }
      : {}),
  };
}

function checkRuntime(io: Io): Check {
  const name = 'OCI runtime';
  const named = io.env['VARVE_RUNTIME'];
  const mounts = readText('/proc/self/mountinfo');
  // crun refuses every container on a machine that has both kinds of control groups.
  const refusesCrun = / - cgroup /.test(mounts);
  if (named === undefined) {
    const [crun, runc] = [refusesCrun ? undefined : versionOf('crun'), versionOf('runc')];
    if (crun !== undefined)
      return {
        name,
        state: 'ok',
        found: `${crun} if a trial shows that it runs steps, else ${runc ?? 'none'}`,
      };
    if (runc !== undefined) return { name, state: 'ok', found: runc };
  }
  const program = named ?? 'runc';
  const version = versionOf(program);
  if (version === undefined)
    return {
      name,
      state: 'missing',
      found: `${program} does not run`,
      mend: `${install('runc')} (or name another runtime in VARVE_RUNTIME)`,
    };
  if (version.startsWith('crun') && refusesCrun && / - cgroup2 /.test(mounts))
    return {
      name,
      state: 'missing',
      found: `${version}, which does not run containers beside both versions of control groups`,
      mend: `${install('runc')} and name it in VARVE_RUNTIME, or boot with systemd.unified_cgroup_hierarchy=1`,
    };
  return { name, state: 'ok', found: version };
}

/** The first line of what a program says of itself; undefined when it does not run. */
function versionOf(program: string): string | undefined {
  const run = spawnSync(program, ['--version'], { encoding: 'utf8' });
  return run.status === 0 ? (run.stdout.split('\n')[0] ?? '') : undefined;
}

function checkCgroups(io: Io): Check {
  if (io.env[OUTER_USER] !== undefined)
    return {
      name: 'cgroups',
      state: 'limited',
      found: 'not without root',
      mend: 'limits of memory, processors and processes need root; time limits and --ulimit hold',
    };
  const mounts = readText('/proc/self/mountinfo');
  const v2 = / - cgroup2 /.test(mounts);
  const v1 = / - cgroup /.test(mounts);
  if (v2 && !v1) return { name: 'cgroups', state: 'ok', found: 'version 2' };
  if (v1) return { name: 'cgroups', state: 'ok', found: v2 ? 'versions 1 and 2' : 'version 1' };
  return {
    name: 'cgroups',
    state: 'limited',
    found: 'none mounted',
    mend: 'limits of memory and processors will not hold; run "mount -t cgroup2 none /sys/fs/cgroup"',
  };
}

function checkSeccomp(): Check {
  const found = /^Seccomp:\s+(\d)/m.exec(readText('/proc/self/status'))?.[1];
  if (found !== undefined) return { name: 'seccomp', state: 'ok', found: 'supported' };
  return {
    name: 'seccomp',
    state: 'limited',
    found: 'the kernel lacks it',
    mend: 'steps can make any system call; use a kernel with CONFIG_SECCOMP_FILTER',
  };
}

function tool(
  io: Io,
  program: string,
  about: { readonly needed: string; readonly install: string },
): Check {
  const path = findProgram(io.env['PATH'] ?? '', program);
  if (path !== undefined) return { name: program, state: 'ok', found: path };
  return {
    name: program,
    state: 'limited',
    found: `not installed; needed for ${about.needed}`,
    mend: install(about.install),
  };
}

function install(name: string): string {
  const id = /^ID(?:_LIKE)?=.*$/gm;
  const release = (readText('/etc/os-release').match(id) ?? []).join(' ');
  if (/debian|ubuntu/.test(release)) return `run "apt-get install ${name}"`;
  if (/fedora|rhel|centos/.test(release)) return `run "dnf install ${name}"`;
  if (release.includes('alpine')) return `run "apk add ${name}"`;
  return `install ${name}`;
}
