import type { SandboxLimits, SandboxMount, SandboxSpec } from '../ports/index.ts';
import { DEFAULT_CAPABILITIES } from './capabilities.ts';
import type {
  RuntimeDevice,
  RuntimeLinux,
  RuntimeMount,
  RuntimeResources,
  RuntimeSpec,
} from './runtime-spec-types.ts';
import { seccompProfile } from './seccomp.ts';

/** What of the machine and of the files made for one run enters its `config.json`. */
export interface RunFacts {
  /** OCI architecture of the machine (`amd64`, `arm64`, ...). */
  readonly architecture: string;
  /** Capabilities this process could hand on (`security: insecure` gives them all). */
  readonly grantable: readonly string[];
  /** Devices of the machine that an insecure step gets. */
  readonly devices: readonly RuntimeDevice[];
  /** Inside a user namespace: no control group, no device nodes, and the machine's `/sys` as far as it is visible. */
  readonly rootless: boolean;
  readonly cgroupsPath: string;
  /** Open files of a step that does not say; it would inherit this program's limits otherwise. */
  readonly openFiles: number;
  /** Whether swap can be limited (cgroup v1 without `swapaccount` cannot). */
  readonly limitsSwap: boolean;
  readonly hostsFile: string;
  readonly resolvFile: string;
  /** Files on a memory file system that hold the secrets, by index of the mount. */
  readonly secretFiles: ReadonlyMap<number, string>;
  /** Sockets that lead to the agents, by index of the mount. */
  readonly socketFiles: ReadonlyMap<number, string>;
}

const DEFAULT_SHM_BYTES = 64 * 1024 * 1024;
const CPU_PERIOD = 100_000;

/** Paths hidden from steps: they show or change the machine, not the step (Docker's list). */
const MASKED_PATHS = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/devices/virtual/powercap',
  '/sys/firmware',
];

const READONLY_PATHS = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

/** The OCI runtime configuration of a step (runtime-spec 1.0.2). */
export function runtimeSpec(spec: SandboxSpec, facts: RunFacts): RuntimeSpec {
  const insecure = spec.security === 'insecure';
  const capabilities = insecure ? facts.grantable : DEFAULT_CAPABILITIES;
  const { uid, gid, additionalGids } = spec.user;
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: false,
      user: {
        uid,
        gid,
        umask: 0o022,
        additionalGids: additionalGids.includes(gid) ? additionalGids : [gid, ...additionalGids],
      },
      args: spec.args,
      env: spec.env,
      cwd: spec.cwd,
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      rlimits: rlimits(spec, facts.openFiles),
      noNewPrivileges: false,
    },
    root: { path: spec.rootfs, readonly: spec.readonlyRootfs ?? false },
    hostname: spec.hostname,
    mounts: lastByTarget([...systemMounts(spec, facts), ...stepMounts(spec.mounts, facts)]),
    linux: linux(spec, facts, capabilities),
  };
}

function linux(spec: SandboxSpec, facts: RunFacts, capabilities: readonly string[]): RuntimeLinux {
  const insecure = spec.security === 'insecure';
  const namespaces = ['pid', 'ipc', 'uts', 'mount'].map((type) => ({ type }));
  return {
    namespaces: spec.network === 'none' ? [...namespaces, { type: 'network' }] : namespaces,
    ...(facts.rootless
      ? { resources: {} }
      : {
          cgroupsPath: facts.cgroupsPath,
          resources: resources(spec.limits ?? {}, { insecure, limitsSwap: facts.limitsSwap }),
        }),
    devices: insecure && !facts.rootless ? facts.devices : [],
    maskedPaths: insecure ? [] : MASKED_PATHS,
    readonlyPaths: insecure ? [] : READONLY_PATHS,
    ...(insecure ? {} : { seccomp: seccompProfile(facts.architecture, capabilities) }),
  };
}

function rlimits(spec: SandboxSpec, openFiles: number): RuntimeSpec['process']['rlimits'] {
  const asked = spec.ulimits.map((u) => ({
    type: `RLIMIT_${u.name.toUpperCase()}`,
    soft: limitValue(u.soft),
    hard: limitValue(u.hard),
  }));
  if (asked.some((limit) => limit.type === 'RLIMIT_NOFILE')) return asked;
  return [{ type: 'RLIMIT_NOFILE', soft: BigInt(openFiles), hard: BigInt(openFiles) }, ...asked];
}

/** -1 is "no limit": RLIM_INFINITY (getrlimit(2)). */
function limitValue(value: number): bigint {
  return value < 0 ? 2n ** 64n - 1n : BigInt(value);
}

function resources(
  limits: SandboxLimits,
  how: { readonly insecure: boolean; readonly limitsSwap: boolean },
): RuntimeResources {
  const { memoryBytes, memorySwapBytes, cpus, cpusetCpus, pids } = limits;
  const time =
    cpus === undefined
      ? {}
      : { quota: Math.max(1000, Math.round(cpus * CPU_PERIOD)), period: CPU_PERIOD };
  const cpu = { ...time, ...(cpusetCpus === undefined ? {} : { cpus: cpusetCpus }) };
  return {
    devices: [{ allow: how.insecure, access: 'rwm' }],
    ...(memoryBytes === undefined
      ? {}
      : {
          memory: how.limitsSwap
            ? { limit: memoryBytes, swap: memorySwapBytes ?? memoryBytes }
            : { limit: memoryBytes },
        }),
    ...(Object.keys(cpu).length === 0 ? {} : { cpu }),
    ...(pids === undefined ? {} : { pids: { limit: pids } }),
  };
}

function systemMounts(spec: SandboxSpec, facts: RunFacts): RuntimeMount[] {
  const shm = spec.shmSizeBytes ?? DEFAULT_SHM_BYTES;
  const access = spec.security === 'insecure' ? 'rw' : 'ro';
  const quiet = ['nosuid', 'noexec', 'nodev'];
  const generated = [...quiet, 'rbind', 'ro'];
  const at = (destination: string, type: string, source: string, options: string[]) => ({
    destination,
    type,
    source,
    options,
  });
  return [
    at('/proc', 'proc', 'proc', quiet),
    at('/dev', 'tmpfs', 'tmpfs', ['nosuid', 'strictatime', 'mode=755', 'size=65536k']),
    at('/dev/pts', 'devpts', 'devpts', [
      'nosuid',
      'noexec',
      'newinstance',
      'ptmxmode=0666',
      'mode=0620',
      'gid=5',
    ]),
    at('/dev/shm', 'tmpfs', 'shm', [...quiet, 'mode=1777', `size=${shm}`]),
    at('/dev/mqueue', 'mqueue', 'mqueue', quiet),
    // Only who owns the network namespace may mount sysfs.
    facts.rootless && spec.network !== 'none'
      ? at('/sys', 'bind', '/sys', [...quiet, 'rbind', access])
      : at('/sys', 'sysfs', 'sysfs', [...quiet, access]),
    ...(spec.ownNetworkFiles === true
      ? []
      : [
          at('/etc/resolv.conf', 'bind', facts.resolvFile, generated),
          at('/etc/hosts', 'bind', facts.hostsFile, generated),
        ]),
    ...(facts.rootless ? [] : [at('/sys/fs/cgroup', 'cgroup', 'cgroup', [...quiet, access])]),
  ];
}

/** A step may mount over what every step has (`/dev/shm` of another size): only the last mount of a place is made. */
function lastByTarget(mounts: readonly RuntimeMount[]): RuntimeMount[] {
  const last = new Map(mounts.map((mount, i) => [mount.destination, i]));
  return mounts.filter((mount, i) => last.get(mount.destination) === i);
}

function stepMounts(mounts: readonly SandboxMount[], facts: RunFacts): RuntimeMount[] {
  return mounts.flatMap((mount, index) =>
    stepMount(mount, facts.secretFiles.get(index) ?? facts.socketFiles.get(index)),
  );
}

function stepMount(mount: SandboxMount, file: string | undefined): RuntimeMount[] {
  const destination = mount.target;
  switch (mount.kind) {
    case 'bind':
      return [
        {
          destination,
          type: 'bind',
          source: mount.source,
          options: mount.readonly ? ['rbind', 'ro'] : ['rbind', 'rw'],
        },
      ];
    case 'tmpfs': {
      const size = mount.sizeBytes === undefined ? [] : [`size=${mount.sizeBytes}`];
      return [{ destination, type: 'tmpfs', source: 'tmpfs', options: ['nosuid', ...size] }];
    }
    case 'secret': {
      if (file === undefined) throw new Error(`no file was made for ${destination}`);
      const noexec = (mount.mode & 0o111) === 0 ? ['noexec'] : [];
      return [
        {
          destination,
          type: 'bind',
          source: file,
          options: ['ro', 'rbind', 'nodev', 'nosuid', ...noexec],
        },
      ];
    }
    case 'socket':
      if (file === undefined) throw new Error(`no socket was made for ${destination}`);
      return [{ destination, type: 'bind', source: file, options: ['rbind', 'rw'] }];
    default:
      return mount satisfies never;
  }
}
