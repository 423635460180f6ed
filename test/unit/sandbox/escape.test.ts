import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { SandboxSpec } from '../../../src/ports/index.ts';
import { createSandbox } from '../../../src/sandbox/index.ts';
import { makeRootfs, needsContainers, shellSpec } from './busybox.ts';

/** Runs a hostile script as root of a step; returns its exit code and everything it printed. */
async function attack(script: string, more: Partial<SandboxSpec> = {}): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), 'varve-escape-'));
  try {
    const sandbox = createSandbox({ stateDir: join(dir, 'state') });
    const spec = shellSpec(
      makeRootfs(join(dir, 'rootfs')),
      `escape-${process.pid}`,
      `exec 2>&1; ${script}`,
    );
    let printed = '';
    const exit = await sandbox.run(
      { ...spec, ...more },
      {
        signal: new AbortController().signal,
        output: (_, data) => (printed += Buffer.from(data).toString()),
      },
    );
    return exit.ok ? `${exit.value.code} ${printed.trim()}` : exit.error.message;
  } finally {
    rmSync(dir, { recursive: true });
  }
}

test(
  'the bounding set of capabilities is Docker’s, and a seccomp filter is on',
  needsContainers,
  async () => {
    assert.equal(
      await attack('grep -E "CapBnd|CapEff|Seccomp:" /proc/self/status | tr "\\t" " "'),
      '0 CapEff: 00000000a80425fb\nCapBnd: 00000000a80425fb\nSeccomp: 2',
    );
  },
);

test('a step cannot mount', needsContainers, async () => {
  assert.match(
    await attack('mount -t tmpfs none /tmp'),
    /^1 mount: .*permission denied|^(1|255) mount.*(denied|not permitted)/i,
  );
});

test('a step cannot make namespaces of its own', needsContainers, async () => {
  assert.match(await attack('unshare -m true'), /^1 unshare: .*Operation not permitted$/);
  assert.match(await attack('unshare -U true'), /^1 unshare: .*Operation not permitted$/);
});

test('a step sees and reaches only its own processes', needsContainers, async () => {
  assert.equal(
    await attack('echo /proc/[0-9]*; echo $$; kill -0 2 2>&1'),
    "1 /proc/1\n1\nsh: can't kill pid 2: No such process",
  );
});

test('a step cannot trigger sysrq or change kernel settings', needsContainers, async () => {
  // A kernel without sysrq has no such file, and a step cannot make one.
  assert.match(
    await attack('echo s > /proc/sysrq-trigger'),
    /^1 .*sysrq-trigger: (Read-only file system|nonexistent directory)$/,
  );
  for (const path of ['/proc/sys/kernel/panic', '/proc/sys/kernel/core_pattern'])
    assert.equal(
      await attack(`echo 1 > ${path}`),
      `1 /bin/sh: can't create ${path}: Read-only file system`,
    );
});

test('kernel memory, keys, timers and firmware are hidden', needsContainers, async () => {
  assert.equal(
    await attack(
      'cat /proc/kcore /proc/keys /proc/timer_list 2>/dev/null | wc -c; ls /sys/firmware | wc -l',
    ),
    '0 0\n0',
  );
});

test('a step cannot write to control groups', needsContainers, async () => {
  assert.match(
    await attack(
      'test -d /sys/fs/cgroup/memory && cd /sys/fs/cgroup/memory || cd /sys/fs/cgroup; mkdir x',
    ),
    /Read-only file system$/,
  );
  assert.match(
    await attack('echo 1 > /sys/fs/cgroup/devices/devices.allow'),
    /Read-only file system$|nonexistent directory$/,
  );
});

test('a raw device can be made but not opened', needsContainers, async () => {
  const script =
    'for m in "c 1 1" "b 8 0" "b 254 0" "b 253 0" "b 7 0"; do mknod /tmp/d $m; cat /tmp/d; rm /tmp/d; done';
  const refused = "cat: can't open '/tmp/d': Operation not permitted";
  assert.equal(await attack(`${script}; true`), `0 ${Array(5).fill(refused).join('\n')}`);
});

test('a step cannot read the kernel log or set the clock', needsContainers, async () => {
  assert.match(await attack('dmesg'), /^1 dmesg: klogctl: Operation not permitted$/);
  assert.match(await attack('date -s 2001-01-01'), /Operation not permitted/);
});

test(
  'a step cannot rename its host through the name space it shares',
  needsContainers,
  async () => {
    assert.match(await attack('hostname evil'), /Operation not permitted$/);
  },
);

test(
  'an insecure step gets all capabilities that can be granted, and no filter',
  needsContainers,
  async () => {
    const printed = await attack(
      'grep Seccomp: /proc/self/status | tr "\\t" " "; mount -t tmpfs none /tmp && echo mounted',
      { security: 'insecure' },
    );
    assert.equal(printed, '0 Seccomp: 0\nmounted');
  },
);
