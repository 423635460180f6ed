import { deepEqual, equal, match } from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { leftovers, names, processesOf, said, stalling, until } from '../rig/cancelled.ts';
import { note } from '../rig/golden.ts';
import { BUSYBOX, needsSteps, Rig, type Run } from '../rig/rig.ts';
import { FAULTS, type FaultPlan, TORTURE } from '../torture/fault-plan.ts';

const options = { skip: needsSteps };

/** A phase of a build: starts it and waits until it is in the phase. */
interface Phase {
  readonly name: string;
  readonly start: (
    rig: Rig,
    use: AsyncDisposableStack,
  ) => Promise<{
    readonly child: ChildProcess;
    readonly done: Promise<Run>;
    /** What is done when it has its signal. */
    readonly signalled?: () => void;
  }>;
}

const PHASES: readonly Phase[] = [
  {
    name: 'fetching a context',
    start: async (rig, use) => {
      const { host, reached } = await stalling(use, /context\.tar/);
      const run = rig.start(['build', '--progress=plain', `http://${host}/context.tar`]);
      await Promise.race([reached, run.done]);
      return run;
    },
  },
  {
    name: 'reading a context from standard input',
    start: async (rig) => {
      const run = rig.start(['build', '--progress=plain', '-']);
      run.child.stdin?.write(Buffer.alloc(4096));
      await until(() => names(join(rig.store, 'tmp')).length > 0, run.child);
      return run;
    },
  },
  {
    name: 'pulling a base image',
    start: async (rig, use) => {
      const { host, reached } = await stalling(use, /GET \/v2\/.*manifests/);
      rig.context('app', { Dockerfile: `FROM ${host}/base:1\nRUN true\n` });
      const run = rig.start(['build', '--progress=plain', 'app']);
      await Promise.race([reached, run.done]);
      return run;
    },
  },
  {
    name: 'running a step',
    start: async (rig) => {
      rig.context('app', {
        Dockerfile: `${BUSYBOX}RUN --mount=type=tmpfs,target=/t --mount=type=cache,target=/c --mount=type=secret,id=s busybox sleep ${rig.root.length}7777 & echo started; exec busybox sleep ${rig.root.length}7777\n`,
      });
      const run = rig.start(['build', '--progress=plain', '--secret', 'id=s,env=S', 'app'], {
        env: { S: 'a-secret' },
      });
      await said(run.child, /\d started/);
      return run;
    },
  },
  {
    name: 'making several layers',
    start: async (rig) => {
      const big = (name: string): string =>
        `RUN busybox dd if=/dev/urandom of=/${name} bs=1M count=64 2>/dev/null\n`;
      rig.context('app', { Dockerfile: `${BUSYBOX}${big('a')}${big('b')}` });
      const run = rig.start(['build', '--progress=plain', '-o', 'type=oci,dest=tmp.tar', 'app']);
      await until(() => names(join(rig.store, 'content/ingest')).length > 1, run.child);
      return run;
    },
  },
  {
    name: 'writing an archive',
    start: async (rig) => {
      rig.context('app', {
        Dockerfile: `${BUSYBOX}RUN busybox dd if=/dev/urandom of=/big bs=1M count=8 2>/dev/null\n`,
      });
      const [reached, go] = [join(rig.root, 'reached'), join(rig.root, 'go')];
      // Its second write waits until the signal was sent: many more come behind it.
      const plan: FaultPlan = {
        ...{ root: rig.store, also: [rig.work] },
        pause: { point: 'write output/.tmp-tmp.tar-*', nth: 2, reached, go },
      };
      const run = rig.start(['build', '--progress=plain', '-o', 'type=oci,dest=tmp.tar', 'app'], {
        env: { NODE_OPTIONS: `--import=${FAULTS}`, [TORTURE]: JSON.stringify(plan) },
      });
      await until(() => existsSync(reached), run.child);
      return { ...run, signalled: () => writeFileSync(go, '') };
    },
  },
  {
    name: 'pushing',
    start: async (rig, use) => {
      const { host, reached } = await stalling(use, /POST|HEAD/);
      rig.context('app', { Dockerfile: BUSYBOX });
      const run = rig.start(['build', '--progress=plain', '-t', `${host}/me/app`, '--push', 'app']);
      await Promise.race([reached, run.done]);
      return run;
    },
  },
];

for (const [signal, status] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  test(
    `${signal} ${signal === 'SIGINT' ? 'in any phase of a build' : 'in a step'} leaves nothing and exits with ${status}`,
    options,
    async () => {
      const wrong: string[] = [];
      // One signal goes through all phases; the others take the same way.
      const phases = PHASES.filter((p) => signal === 'SIGINT' || p.name === 'running a step');
      for (const phase of phases) {
        await using rig = new Rig();
        await using use = new AsyncDisposableStack();
        const { child, done, signalled } = await phase.start(rig, use);
        const groups = new Set<string>();
        child.kill(signal);
        signalled?.();
        const run = await done;
        if (run.status !== status)
          wrong.push(`${phase.name}: exit ${run.status}: ${run.stderr.slice(-600)}`);
        for (const left of leftovers(rig, groups)) wrong.push(`${phase.name}: left ${left}`);
      }
      deepEqual(wrong, []);
      note(`cancellation: ${signal} in ${phases.length} phases, nothing left`);
    },
  );
}

test('a reader of standard error that goes away stops the build in order', options, async () => {
  await using rig = new Rig();
  rig.context('app', {
    Dockerfile: `${BUSYBOX}RUN echo started; while true; do echo more; busybox sleep 0.05; done\n`,
  });
  const { child, done } = rig.start(['build', '--progress=plain', 'app']);
  await said(child, /started/);
  child.stderr?.destroy();
  equal((await done).status, 141);
  deepEqual(leftovers(rig, new Set()), []);
});

test(
  'after a second signal, or SIGKILL, the next command removes what was left, also one with nothing to do',
  options,
  async () => {
    const wrong: string[] = [];
    for (const how of ['twice', 'SIGKILL'] as const) {
      await using rig = new Rig();
      await using use = new AsyncDisposableStack();
      const phase = PHASES.find((p) => p.name === 'running a step');
      const started = await phase?.start(rig, use);
      if (started === undefined) continue;
      const { child, done } = started;
      const left = (): string[] => leftovers(rig, new Set());
      if (how === 'SIGKILL') {
        child.kill('SIGKILL');
        await done;
        if (processesOf(rig).length === 0)
          wrong.push('the step ended with its builder: nothing is shown');
      } else {
        child.kill('SIGINT');
        child.kill('SIGINT');
        equal((await done).status, 130);
      }
      const next = await rig.varve(['image', 'ls']);
      if (next.status !== 0) wrong.push(`${how}: ${next.stderr}`);
      // A lease of a dead process counts no more; the row goes with the next build.
      for (const each of left().filter((text) => !text.startsWith('lease')))
        wrong.push(`${how}: left ${each}`);
    }
    deepEqual(wrong, []);
  },
);

test('a build that takes longer than --timeout is stopped and says so', options, async () => {
  await using rig = new Rig();
  rig.context('app', { Dockerfile: `${BUSYBOX}RUN echo quick\nRUN busybox sleep 600\n` });
  const run = await rig.varve(['build', '--progress=plain', '--timeout', '2', 'app']);
  equal(run.status, 1, run.stderr);
  match(
    run.stderr,
    /^error\[SB013\]: the build was stopped: it took longer than 2 s\nhelp: give it more time with --timeout; what was finished is cached$/m,
  );
  deepEqual(leftovers(rig, new Set()), []);
});
