import assert from 'node:assert/strict';
import { test } from 'node:test';
import { capabilitiesOfMask, DEFAULT_CAPABILITIES } from '../../../src/sandbox/capabilities.ts';
import { cgroupMounts, unlimitable } from '../../../src/sandbox/cgroup.ts';
import { runtimeSpec } from '../../../src/sandbox/runtime-spec.ts';
import { seccompProfile } from '../../../src/sandbox/seccomp.ts';
import { shellSpec } from './busybox.ts';

const FACTS = {
  architecture: 'amd64',
  grantable: ['CAP_CHOWN', 'CAP_SYS_ADMIN'],
  devices: [],
  rootless: false,
  cgroupsPath: '/varve-x',
  openFiles: 1024,
  limitsSwap: false,
  hostsFile: '/b/hosts',
  resolvFile: '/b/resolv.conf',
  secretFiles: new Map<number, string>(),
  socketFiles: new Map<number, string>(),
};

test('the default capabilities are the mask that Docker has', () => {
  assert.deepEqual(capabilitiesOfMask('00000000a80425fb').sort(), [...DEFAULT_CAPABILITIES]);
});

test('a filter allows ordinary calls, and none that makes a namespace without SYS_ADMIN', () => {
  const profile = seccompProfile('amd64', DEFAULT_CAPABILITIES);
  const names = profile.syscalls[0]?.names ?? [];
  assert.deepEqual(
    [
      'mount',
      'unshare',
      'bpf',
      'clone',
      'clone3',
      'setns',
      'open_by_handle_at',
      'reboot',
      'io_uring_setup',
      'keyctl',
      'userfaultfd',
    ].filter((name) => names.includes(name)),
    [],
  );
  assert.deepEqual(
    ['chroot', 'arch_prctl', 'execve', 'ptrace', 'statmount'].filter(
      (name) => !names.includes(name),
    ),
    [],
  );
  assert.deepEqual(profile.syscalls.slice(-2), [
    {
      names: ['clone'],
      action: 'SCMP_ACT_ALLOW',
      args: [{ index: 0, value: 0x7e020000, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }],
    },
    { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: 38 },
  ]);
});

test('the network namespace is made for steps without network only', () => {
  const types = (network: 'default' | 'none' | 'host') =>
    runtimeSpec({ ...shellSpec('/r', 'x', ''), network }, FACTS).linux.namespaces.map(
      (n) => n.type,
    );
  assert.deepEqual(types('none'), ['pid', 'ipc', 'uts', 'mount', 'network']);
  assert.deepEqual(types('default'), ['pid', 'ipc', 'uts', 'mount']);
  assert.deepEqual(types('host'), types('default'));
});

test('limits become resources, without swap where it cannot be limited', () => {
  const limits = { memoryBytes: 1 << 30, cpus: 1.5, pids: 9 };
  const resources = (limitsSwap: boolean) =>
    runtimeSpec({ ...shellSpec('/r', 'x', ''), limits }, { ...FACTS, limitsSwap }).linux.resources;
  const common = {
    devices: [{ allow: false, access: 'rwm' }],
    cpu: { quota: 150_000, period: 100_000 },
    pids: { limit: 9 },
  };
  assert.deepEqual(resources(true), { ...common, memory: { limit: 1 << 30, swap: 1 << 30 } });
  assert.deepEqual(resources(false), { ...common, memory: { limit: 1 << 30 } });
});

test('swap is what is allowed above memory, and processors are chosen without a share of time', () => {
  const limits = { memoryBytes: 1 << 20, memorySwapBytes: -1, cpusetCpus: '0-1' };
  const spec = runtimeSpec({ ...shellSpec('/r', 'x', ''), limits }, { ...FACTS, limitsSwap: true });
  assert.deepEqual(spec.linux.resources, {
    devices: [{ allow: false, access: 'rwm' }],
    memory: { limit: 1 << 20, swap: -1 },
    cpu: { cpus: '0-1' },
  });
});

test('in a user namespace there is no control group and no device, and sysfs only with a network of its own', () => {
  const facts = { ...FACTS, rootless: true };
  const seen = (network: 'default' | 'none') => {
    const { linux, mounts } = runtimeSpec({ ...shellSpec('/r', 'x', ''), network }, facts);
    const { cgroupsPath, resources, devices } = linux;
    const at = mounts.filter((m) => m.destination.startsWith('/sys')).map((m) => m.type);
    return { cgroupsPath, resources, devices, sys: at };
  };
  const none = { cgroupsPath: undefined, resources: {}, devices: [] };
  assert.deepEqual(seen('default'), { ...none, sys: ['bind'] });
  assert.deepEqual(seen('none'), { ...none, sys: ['sysfs'] });
});

test('limits that the machine has no control group for are named', () => {
  const limits = { memoryBytes: 1, cpus: 1, cpusetCpus: '0', pids: 1 };
  const v1 = { version: 1, roots: [], controllers: ['rw', 'memory', 'pids'] } as const;
  assert.deepEqual(unlimitable(v1, limits), ['processor time', 'the choice of processors']);
  assert.deepEqual(unlimitable({ ...v1, controllers: [] }, { timeoutMs: 5 }), []);
});

test('a mount of the step replaces the system’s mount at the same place', () => {
  const mounts = [{ kind: 'tmpfs', target: '/dev/shm', sizeBytes: 5 }] as const;
  const spec = runtimeSpec({ ...shellSpec('/r', 'x', ''), mounts }, FACTS);
  assert.deepEqual(
    spec.mounts.filter((m) => m.destination === '/dev/shm'),
    [{ destination: '/dev/shm', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'size=5'] }],
  );
});

test('an insecure step has no filter, no hidden paths and every device', () => {
  const spec = runtimeSpec({ ...shellSpec('/r', 'x', ''), security: 'insecure' }, FACTS);
  const { seccomp, maskedPaths, readonlyPaths, resources } = spec.linux;
  assert.deepEqual(
    {
      seccomp,
      maskedPaths,
      readonlyPaths,
      devices: resources.devices,
      caps: spec.process.capabilities.bounding,
    },
    {
      seccomp: undefined,
      maskedPaths: [],
      readonlyPaths: [],
      devices: [{ allow: true, access: 'rwm' }],
      caps: ['CAP_CHOWN', 'CAP_SYS_ADMIN'],
    },
  );
});

test('control group hierarchies are told from the mount table', () => {
  const v2 = '30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw';
  const v1 = '31 30 0:27 / /sys/fs/cgroup/cpu\\040x rw - cgroup cgroup rw,cpu';
  assert.deepEqual(cgroupMounts(`${v2}\n1 1 0:1 / / rw - ext4 /dev/x rw\n`), {
    version: 2,
    roots: ['/sys/fs/cgroup'],
    controllers: [],
  });
  assert.deepEqual(cgroupMounts(`${v2}\n${v1}\n`), {
    version: 1,
    roots: ['/sys/fs/cgroup', '/sys/fs/cgroup/cpu x'],
    controllers: ['rw', 'cpu'],
  });
});
