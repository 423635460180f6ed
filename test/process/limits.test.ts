import { deepEqual, equal, match } from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
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
      // More than the threads of the runtime, which begins in the control group of the step.
      'i=0; while test $i -lt 60; do busybox sleep 9 & i=$((i+1)); done',
      ['--pids-limit', '32'],
      /can't fork: Resource temporarily unavailable/,
    ],
    [
      'busybox tail /dev/zero',
      ['--build-memory', '32m'],
      /exit code: 137[^]*the build's memory limit of 33554432 bytes was reached/,
    ],
    [
      'busybox tail /dev/zero',
      ['--memory', '1g', '--step-limit', 'RUN *tail:memory=32m'],
      /exit code: 137[^]*because the memory limit of 33554432 bytes was reached/,
    ],
    [
      'true',
      ['--runtime', '/nowhere/runc'],
      /error\[SB001\]: the container runtime "\/nowhere\/runc" cannot be started/,
    ],
  ];
  const wrong: string[] = [];
  await using rig = new Rig();
  for (const [step, args, said] of cases) {
    rig.context('app', { Dockerfile: `${BUSYBOX}RUN ${step}\n` });
    const run = await varveHere(rig, rig.work, ['build', '--progress=plain', ...args, 'app']);
    if ((run.status !== 1 && !said.source.includes('SB001')) || !said.test(run.stderr))
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

const READ =
  'cpu/cpu.cfs_quota_us memory/memory.limit_in_bytes pids/pids.max cpu.max memory.max pids.max';

/** What the files of a control group say, of either version. */
function limitsIn(text: string): readonly (string | undefined)[] {
  return [
    /memory\.(?:limit_in_bytes|max)=(\d+)$/m,
    /cpu\.(?:cfs_quota_us|max)=(\d+)/m,
    /pids\.max=(\d+)$/m,
  ].map((pattern) => pattern.exec(text)?.[1]);
}

test('a limit by name holds for the steps that have the name, and a later one goes over an earlier one', {
  skip,
}, async () => {
  await using rig = new Rig();
  const read = `for f in ${READ}; do test -e /sys/fs/cgroup/$f && echo $f=$(busybox cat /sys/fs/cgroup/$f); done; true`;
  rig.context('app', { Dockerfile: `${BUSYBOX}RUN : one; ${read}\nRUN : two; ${read}\n` });
  const run = await varveHere(rig, rig.work, [
    ...['build', '--progress=plain', '--memory', '64m', '--pids-limit', '40'],
    ...['--step-limit', '2/4] *:cpus=0.9', '--step-limit', 'RUN : t*o:memory=32m,cpus=0.5'],
    ...['--step-limit', '4/4] RUN*two:pids=50,cpuset-cpus=0', 'app'],
  ]);
  equal(run.status, 0, run.stderr);
  const shown = run.stderr.split(/^#\d+ \[.\/4\]/m).filter((part) => part.includes('pids.max='));
  const [one, two] = shown.map((part) => limitsIn(part.replaceAll(/^#\d+ [\d.]+ /gm, '')));
  deepEqual([one?.[0], one?.[2]], ['67108864', '40']);
  deepEqual(two, ['33554432', '50000', '50']);
});

test('the steps of a limited build run in its group, which goes with the last of them', {
  skip,
}, async () => {
  await using rig = new Rig();
  rig.context('app', {
    Dockerfile: `${BUSYBOX}RUN --mount=type=cache,target=/c echo > /c/up; until test -e /c/go; do busybox usleep 5000; done\n`,
  });
  const { child, done } = rig.start([
    ...['build', '--progress=plain', '--build-memory', '96m', '--build-cpus', '0.75'],
    ...['--build-pids-limit', '60', '--memory', '64m', 'app'],
  ]);
  const mounts = join(rig.store, 'mounts');
  const made = (): string[] =>
    existsSync(mounts)
      ? readdirSync(mounts, { recursive: true, encoding: 'utf8' }).filter((p) => p.endsWith('/up'))
      : [];
  while (made().length === 0 && child.exitCode === null)
    await new Promise((resolve) => setImmediate(resolve));
  const [first = ''] = made();
  const parents = groups().filter((path) => /varve-build-[0-9a-f]+$/.test(path) && isOf(rig, path));
  const text = parents.flatMap((dir) =>
    READ.split(' ').flatMap((file) => {
      const path = join(dir, file.split('/').at(-1) ?? '');
      return existsSync(path) ? [`${basename(path)}=${readFileSync(path, 'utf8').trim()}`] : [];
    }),
  );
  writeFileSync(join(mounts, dirname(first), 'go'), '');
  equal((await done).status, 0);
  deepEqual(limitsIn(text.join('\n')), ['100663296', '75000', '60']);
  for (const parent of parents) equal(existsSync(parent), false, `${parent} is left`);
});

/** Control groups of builds, in every hierarchy. */
function groups(): string[] {
  const root = '/sys/fs/cgroup';
  const all = [
    root,
    ...readdirSync(root, { withFileTypes: true })
      .filter((e) => e.isDirectory())
      .map((e) => join(root, e.name)),
  ];
  return all.flatMap((dir) =>
    readdirSync(dir)
      .filter((name) => name.startsWith('varve-build-'))
      .map((name) => join(dir, name)),
  );
}

/** Whether the step of the world runs in a group: its id stands in the file of its owner. */
function isOf(rig: Rig, group: string): boolean {
  const owners = readdirSync(join(rig.store, 'run/owners'));
  return owners.length === 1 && owners.every((id) => existsSync(join(group, `varve-${id}`)));
}

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
    ['--step-limit', 'make'],
    ['--step-limit', 'make:ram=1g'],
    ['--step-limit', 'make:cpus=fast'],
    ['--step-limit', 'make:memory-swap=1g'],
    ['--build-memory', '5m'],
    ['--build-cpus', '0'],
    ['--build-pids-limit', 'many'],
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
    '2 error[CL002]: --step-limit "make": not a pattern and limits',
    '2 error[CL002]: --step-limit "make:ram=1g": unknown limit "ram"',
    '2 error[CL002]: --step-limit cpus "fast": not a positive number',
    '2 error[CL002]: --step-limit memory-swap: it needs memory beside it',
    '2 error[CL002]: --build-memory "5m": the least that works is 6m',
    '2 error[CL002]: --build-cpus "0": not a positive number',
    '2 error[CL002]: --build-pids-limit "many": not a positive number',
  ]);
  note(`limits: ${cases.length} meaningless ones refused`);
});
