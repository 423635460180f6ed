import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { arch } from 'node:os';
import { join } from 'node:path';
import { deviceParts, inUserNamespace } from '../sys/index.ts';
import { capabilitiesOfMask } from './capabilities.ts';
import { type CgroupMounts, cgroupMounts } from './cgroup.ts';
import type { RuntimeDevice } from './runtime-spec-types.ts';

/** What a sandbox needs to know of the machine; read once. */
export interface Machine {
  readonly architecture: string;
  readonly grantable: readonly string[];
  /** Inside a user namespace. */
  readonly rootless: boolean;
  readonly cgroups: CgroupMounts;
  /** Changes when the machine is started. */
  readonly boot: string;
  /** Open files this process may grant: its own hard limit. */
  readonly openFiles: number;
}

/** Docker's limit of open files; more makes programs that close all possible descriptors slow. */
const OPEN_FILES = 1_048_576;

/** OCI names of Node's architectures. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: 'amd64',
  ia32: '386',
  ppc64: 'ppc64le',
  loong64: 'loong64',
};

/** Reads the facts from `/proc`. */
export function readMachine(): Machine {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const hard = /^Max open files\s+\S+\s+(\d+)/m.exec(limits)?.[1];
  const status = readFileSync('/proc/self/status', 'utf8');
  return {
    architecture: ARCHITECTURES[arch()] ?? arch(),
    grantable: capabilitiesOfMask(/^CapBnd:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'),
    rootless: inUserNamespace(),
    cgroups: cgroupMounts(readFileSync('/proc/self/mountinfo', 'utf8')),
    boot: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    openFiles: hard === undefined ? OPEN_FILES : Math.min(OPEN_FILES, Number(hard)),
  };
}

/** Loop devices and FUSE, which image builders inside an insecure step need. */
export function insecureDevices(dev = '/dev'): RuntimeDevice[] {
  const names = readdirSync(dev).filter((n) => /^(?:loop\d+|loop-control|fuse)$/.test(n));
  return names.sort().flatMap((name) => {
    const path = join(dev, name);
    const stat = lstatSync(path, { bigint: true });
    const block = stat.isBlockDevice();
    if (!block && !stat.isCharacterDevice()) return [];
    return [
      {
        path: `/dev/${name}`,
        type: block ? 'b' : 'c',
        ...deviceParts(stat.rdev),
        fileMode: Number(stat.mode & 0o777n),
        uid: Number(stat.uid),
        gid: Number(stat.gid),
      } as const,
    ];
  });
}
