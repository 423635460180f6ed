import { deepEqual, match } from 'node:assert/strict';
import { test } from 'node:test';
import { DiskRepo, needsDiskTools } from '../rig/disk-repo.ts';
import { writeDiskTemplate } from '../rig/disk-template.ts';
import { note } from '../rig/golden.ts';
import { varveHere } from '../rig/in-process.ts';
import { ProjectRig } from '../rig/project.ts';
import { needsSteps, Rig, type Run } from '../rig/rig.ts';

/** Prints what the control group of the step says, of either version. */
const READ =
  'for f in memory/memory.limit_in_bytes memory.max pids/pids.max pids.max; do test -e /sys/fs/cgroup/$f && echo $f=$(cat /sys/fs/cgroup/$f); done; true';

/** Memory and processes that the output of steps names. */
function limitsIn(run: Run): readonly string[] {
  return [
    ...new Set(
      [...run.stderr.matchAll(/(?:memory\.(?:limit_in_bytes|max)|pids\.max)=(\d+)$/gm)].map(
        ([, value = '']) => value,
      ),
    ),
  ].sort();
}

/** The first line of a failure. */
const said = (run: Run): string =>
  `${run.status} ${run.stderr.split('\n').find((line) => line.startsWith('error')) ?? run.stderr}`;

test('limits of bake hold for the steps of layers and of targets, and its time for all of them together', {
  skip: needsSteps,
}, async () => {
  await using project = await ProjectRig.open();
  const { rig, registry } = project;
  rig.write(
    'app/varve.yml',
    `name: limited\nbase: ${registry.host}/base:1\nlayers:\n  one:\n    steps:\n      - ${JSON.stringify(READ)}\nimages:\n  all: {layers: [one], tags: [all]}\n`,
  );
  rig.write('app/Dockerfile', `FROM ${registry.host}/base:1\nRUN : target; ${READ}\n`);
  rig.write('app/docker-bake.json', JSON.stringify({ target: { default: { tags: ['x'] } } }));
  rig.write(
    'slow/docker-bake.json',
    JSON.stringify({ target: { default: { context: '.', tags: ['y'] } } }),
  );
  rig.write('slow/Dockerfile', `FROM ${registry.host}/base:1\nRUN sleep 600\n`);
  const bake = async (dir: string, ...args: readonly string[]): Promise<Run> =>
    await varveHere(rig, `${rig.work}/${dir}`, ['bake', '--progress=plain', ...args]);
  const limits = ['--memory', '64m', '--pids-limit', '50'];
  deepEqual(
    {
      layers: limitsIn(await bake('app', '-f', 'varve.yml', ...limits)),
      targets: limitsIn(await bake('app', '-f', 'docker-bake.json', ...limits)),
      time: said(await bake('slow', '--timeout', '1')),
      'time of a step': said(await bake('slow', '--step-timeout', '0.5')).slice(0, 17),
      wrong: said(await bake('app', '--memory', '1m')),
      'wrong time': said(await bake('app', '--timeout', 'soon')),
    },
    {
      layers: ['50', '67108864'],
      targets: ['50', '67108864'],
      time: '1 error[SB013]: the build was stopped: it took longer than 1 s',
      'time of a step': '1 error[SB010]: p',
      wrong: '2 error[CL002]: --memory "1m": the least that works is 6m',
      'wrong time': '2 error[CL002]: --timeout "soon": not a positive number',
    },
  );
});

test('limits of compose hold for the commands of a template, and its time for all builds together', {
  skip: needsDiskTools === false ? needsSteps : needsDiskTools,
}, async () => {
  await using rig = new Rig();
  await using repo = await DiskRepo.start();
  const compose = async (command: string, ...args: readonly string[]): Promise<Run> => {
    writeDiskTemplate(rig, repo, { command });
    const output = ['-o', 'type=raw,dest=disk.img'];
    return await varveHere(rig, rig.work, [
      'compose',
      'os.yml',
      '--progress=plain',
      ...output,
      ...args,
    ]);
  };
  const tooLong = await compose('sleep 600', '--step-timeout', '1');
  match(tooLong.stderr, /time limit of 1 s exceeded/);
  const tooMuch = await compose('tail /dev/zero', '--step-limit', '*tail*:memory=32m');
  match(tooMuch.stderr, /the memory limit of 33554432 bytes was reached/);
  deepEqual(
    {
      'of a step': [tooLong.status, tooMuch.status],
      time: said(await compose('sleep 601', '--timeout', '2')),
      wrong: said(await compose('true', '--cpus', '-1')),
    },
    {
      'of a step': [1, 1],
      time: '1 error[SB013]: the build was stopped: it took longer than 2 s',
      wrong: '2 error[CL002]: --cpus "-1": not a positive number',
    },
  );
  note('limits: compose and bake stop what takes too much or too long');
});
