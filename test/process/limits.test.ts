import { deepEqual, equal, match } from 'node:assert/strict';
import { test } from 'node:test';
import { note } from '../rig/golden.ts';
import { varveHere } from '../rig/in-process.ts';
import { BUSYBOX, needsSteps, Rig, statesOf } from '../rig/rig.ts';

const skip = needsSteps;

test('limits of memory, processes and time end a step with a message that names the limit', {
  skip,
}, async () => {
  const cases: readonly (readonly [step: string, args: readonly string[], said: RegExp])[] = [
    [
      'busybox tail /dev/zero',
      ['--memory', '32m'],
      /exit code: 137[^]*a process was ended because the memory limit of 33554432 bytes was reached/,
    ],
    ['busybox sleep 600', ['--step-timeout', '0.5'], /time limit of 0\.5 s exceeded/],
    [
      'busybox sleep 9 & busybox sleep 9 & busybox sleep 9 & busybox sleep 9',
      ['--pids-limit', '3'],
      /can't fork: Resource temporarily unavailable/,
    ],
  ];
  const wrong: string[] = [];
  await using rig = new Rig();
  for (const [step, args, said] of cases) {
    rig.context('app', { Dockerfile: `${BUSYBOX}RUN ${step}\n` });
    const run = await varveHere(rig, rig.work, ['build', '--progress=plain', ...args, 'app']);
    if (run.status !== 1 || !said.test(run.stderr))
      wrong.push(`${args.join(' ')}: ${run.status} ${run.stderr}`);
  }
  deepEqual(wrong, []);
});

test('processors and their time, and swap, are what the control group of the step says', {
  skip,
}, async () => {
  await using rig = new Rig();
  const read =
    'for f in cpuset/cpuset.cpus cpu/cpu.cfs_quota_us memory/memory.limit_in_bytes pids/pids.max cpuset.cpus cpu.max memory.max pids.max; do test -e /sys/fs/cgroup/$f && echo $f=$(busybox cat /sys/fs/cgroup/$f); done; true';
  rig.context('app', { Dockerfile: `${BUSYBOX}RUN ${read}\n` });
  const limits = [
    '--cpus',
    '0.5',
    '--cpuset-cpus',
    '0',
    '--memory',
    '64m',
    '--memory-swap',
    '-1',
    '--pids-limit',
    '50',
  ];
  const run = await varveHere(rig, rig.work, ['build', '--progress=plain', ...limits, 'app']);
  equal(run.status, 0, run.stderr);
  match(run.stderr, /cpuset\.cpus=0$/m);
  match(run.stderr, /cpu\.cfs_quota_us=50000$|cpu\.max=50000 100000$/m);
  match(run.stderr, /memory\.limit_in_bytes=67108864$|memory\.max=67108864$/m);
  match(run.stderr, /pids\.max=50$/m);
});

test('limits are no part of the key: a step made under one limit is found under another', {
  skip,
}, async () => {
  await using rig = new Rig();
  rig.context('app', { Dockerfile: `${BUSYBOX}RUN echo x > /x\n` });
  const first = await varveHere(rig, rig.work, [
    'build',
    '--progress=rawjson',
    '--memory',
    '64m',
    '--pids-limit',
    '20',
    'app',
  ]);
  equal(first.status, 0, first.stderr);
  const second = await varveHere(rig, rig.work, [
    'build',
    '--progress=rawjson',
    '--cpus',
    '0.5',
    '--step-timeout',
    '60',
    '--timeout',
    '600',
    'app',
  ]);
  equal(statesOf(second.stderr)['[3/3] RUN echo x > /x'], 'CACHED');
});

test('limits that mean nothing are refused before anything is built', async () => {
  await using rig = new Rig();
  rig.write('app/Dockerfile', 'FROM scratch\n');
  const cases: readonly (readonly string[])[] = [
    ['--memory', '1m'],
    ['--memory-swap', '1g'],
    ['--memory', '1g', '--memory-swap', '512m'],
    ['--cpus', '-1'],
    ['--cpuset-cpus', 'all'],
    ['--pids-limit', '1.5'],
    ['--pids-limit', '0'],
    ['--timeout', 'soon'],
    ['--step-timeout', '0'],
  ];
  const said: string[] = [];
  for (const args of cases) {
    const run = await varveHere(rig, rig.work, ['build', ...args, 'app']);
    said.push(`${run.status} ${run.stderr.split('\n')[0] ?? ''}`);
  }
  deepEqual(said, [
    '2 error[CL002]: --memory "1m": the least that works is 6m',
    '2 error[CL002]: --memory-swap: it needs --memory beside it',
    '2 error[CL002]: --memory-swap: it is memory and swap together, and below --memory',
    '2 error[CL002]: --cpus "-1": not a positive number',
    '2 error[CL002]: --cpuset-cpus "all": not a list of processors',
    '2 error[CL002]: --pids-limit "1.5": not a whole number',
    '2 error[CL002]: --pids-limit "0": not a positive number',
    '2 error[CL002]: --timeout "soon": not a positive number',
    '2 error[CL002]: --step-timeout "0": not a positive number',
  ]);
  note(`limits: ${cases.length} meaningless ones refused`);
});
