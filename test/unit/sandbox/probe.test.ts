import { deepEqual } from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createSandbox } from '../../../src/sandbox/index.ts';
import { note } from '../../rig/golden.ts';
import { makeRootfs, needsContainers, shellSpec } from './busybox.ts';

const needsCompiler =
  needsContainers.skip !== undefined || spawnSync('gcc', ['--version']).status === 0
    ? needsContainers
    : { skip: 'no gcc' };

/** What Docker's default profile (filter, capabilities, devices, hidden and read-only paths) answers to each call. */
const DOCKER: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    [
      'keyctl add_key request_key bpf perf_event_open io_uring_setup kexec_load init_module delete_module mount umount2',
      'pivot_root unshare setns open_by_handle_at userfaultfd swapon reboot acct quotactl settimeofday sethostname syslog',
      'personality move_pages socket(AF_ALG) socket(AF_VSOCK) fsopen fsmount fsconfig fspick open_tree move_mount',
      'mount_setattr io_uring_enter io_uring_register kexec_file_load finit_module fanotify_init kcmp pidfd_getfd',
      'setdomainname clock_settime iopl ioperm vhangup swapoff unshare(user) unshare(mount) unshare(net) unshare(pid)',
      'unshare(cgroup) clone(user) open(memory) open(disk) open(kmsg)',
    ]
      .flatMap((line) => line.split(' '))
      .map((name) => [name, 'EPERM']),
  ),
  ...Object.fromEntries(
    [
      '/proc/sysrq-trigger /proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe /proc/sys/vm/drop_caches',
      '/proc/irq/default_smp_affinity /sys/kernel/mm/ksm/run /sys/power/state',
    ]
      .flatMap((line) => line.split(' '))
      .map((path) => [`write(${path})`, 'closed']),
  ),
  ...Object.fromEntries(
    [
      '/proc/kcore /proc/keys /proc/timer_list /proc/sched_debug /proc/latency_stats /proc/scsi /proc/acpi /proc/asound',
      '/sys/firmware /dev/mem /dev/kmsg /dev/sda /dev/fuse',
    ]
      .flatMap((line) => line.split(' '))
      .map((path) => [`read(${path})`, 'hidden']),
  ),
  'mount(make shared)': 'EPERM',
  ...{ 'mknod(memory)': 'allowed', 'mknod(disk)': 'allowed', 'mknod(kmsg)': 'allowed' },
  ...{ 'socket(packet)': 'allowed', 'socket(netlink audit)': 'allowed' },
  'ptrace(sibling)': 'allowed',
  propagation: 'private',
  'cgroup(mkdir)': 'refused',
  'cgroup(join)': 'refused',
  'cgroup(release_agent)': 'refused',
  clone3: 'ENOSYS',
  ptrace: 'allowed',
  'socket(raw)': 'allowed',
};

test(
  'every system call that Docker’s default profile refuses is refused in a step, and no other',
  needsCompiler,
  async () => {
    const dir = mkdtempSync(join(tmpdir(), 'varve-probe-'));
    try {
      const rootfs = makeRootfs(join(dir, 'rootfs'));
      execFileSync('gcc', [
        '-static',
        '-o',
        join(rootfs, 'probe'),
        join(import.meta.dirname, 'probe.c'),
      ]);
      const sandbox = createSandbox({ stateDir: join(dir, 'state') });
      const answers = async (security: 'sandbox' | 'insecure'): Promise<Record<string, string>> => {
        let printed = '';
        const spec = {
          ...shellSpec(rootfs, `probe-${security}-${process.pid}`, '/probe'),
          security,
        };
        await sandbox.run(spec, {
          signal: new AbortController().signal,
          output: (_, data) => (printed += Buffer.from(data).toString()),
        });
        return Object.fromEntries(
          printed
            .trim()
            .split('\n')
            .map((line) => {
              const [name = '', answer = ''] = line.split(/ (?=\S+$)/);
              return [name, answer];
            }),
        );
      };
      const inside = await answers('sandbox');
      deepEqual(inside, DOCKER);
      const insecure = await answers('insecure');
      const opened = Object.keys(inside).filter((name) => inside[name] !== insecure[name]);
      note(
        `probe: ${Object.keys(inside).length} calls answer as under Docker; --security=insecure changes ${opened.length}`,
      );
      deepEqual(
        ['mount', 'unshare'].filter((name) => insecure[name] !== 'allowed'),
        [],
      );
    } finally {
      rmSync(dir, { recursive: true });
    }
  },
);
