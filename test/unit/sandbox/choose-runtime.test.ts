import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { note } from '../../rig/golden.ts';
import { makeRootfs, needsContainers, shellSpec } from './busybox.ts';

/** Runs steps, each with a sandbox of its own, and prints what came of them and what the trial said. */
const DRIVER = `
const { createSandbox } = await import(${JSON.stringify(join(import.meta.dirname, '../../../src/sandbox/index.ts'))});
const { existsSync, readFileSync } = await import('node:fs');
const [stateDir, ...specs] = process.argv.slice(1);
const said = [];
for (const spec of specs) {
  let printed = '';
  const run = await createSandbox({ stateDir }).run(JSON.parse(spec), {
    signal: new AbortController().signal,
    output: (_, data) => { printed += data; },
  });
  said.push(run.ok ? [run.value.code, printed.trim()] : run.error.message);
}
const note = stateDir + '/runtime-trial';
said.push(existsSync(note) ? readFileSync(note, 'utf8').split('\\n')[1] : 'no trial');
console.log(JSON.stringify(said));
`;

/** Mounts of their own, where the control groups are of version 2 only; the first argument, if any, is crun there. */
const NAMESPACE = `
umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup || exit 70
if [ -n "$1" ]; then mount --bind "$1" "$(command -v crun)" || exit 71; fi
shift
exec "$@"
`;

class World implements Disposable {
  readonly dir = mkdtempSync(join(tmpdir(), 'varve-runtimes-'));
  readonly rootfs = makeRootfs(join(this.dir, 'rootfs'));
  readonly crun = join(this.dir, 'crun');
  readonly log = join(this.dir, 'log');
  readonly state = join(this.dir, 'state');
  #count = 0;

  /** Makes a runtime that notes each call and then does what the lines say. */
  runtime(...lines: readonly string[]): void {
    writeFileSync(this.crun, ['#!/bin/sh', `echo "$*" >> ${this.log}`, ...lines, ''].join('\n'), {
      mode: 0o755,
    });
  }

  /** How often the runtime was asked to run something since the last question. */
  calls(): number {
    const text = existsSync(this.log) ? readFileSync(this.log, 'utf8') : '';
    rmSync(this.log, { force: true });
    return text.split('\n').filter((line) => / run --bundle /.test(line)).length;
  }

  /** Runs two steps. */
  run(crun: string | undefined): unknown {
    const specs = ['a', 'b'].map((word) =>
      JSON.stringify(
        shellSpec(this.rootfs, `c${process.pid}-${this.#count++}`, `echo ${word} > /dev/stdout`),
      ),
    );
    const node = [process.execPath, '--input-type=module', '-e', DRIVER, this.state, ...specs];
    const own = ['unshare', '--mount', 'sh', '-c', NAMESPACE, 'sh'];
    const [program = '', ...args] = crun === undefined ? node : [...own, crun, ...node];
    const ran = spawnSync(program, args, { encoding: 'utf8' });
    assert.equal(ran.status, 0, ran.stderr);
    return JSON.parse(ran.stdout);
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true });
  }
}

const STEPS = [
  [0, 'a'],
  [0, 'b'],
] as const;

test(
  'a runtime that starts containers quickly is used where a trial shows that it does, and tried once',
  needsContainers,
  () => {
    using world = new World();
    world.runtime('exec runc "$@"');
    assert.deepEqual([world.run(world.crun), world.calls()], [[...STEPS, 'runs'], 3]);
    assert.deepEqual([world.run(world.crun), world.calls()], [[...STEPS, 'runs'], 2]);
  },
);

test('one that refuses is left alone until it is another program', needsContainers, () => {
  using world = new World();
  const refusal = '{"msg":"setrlimit (RLIM_MEMLOCK): Operation not permitted","level":"error"}';
  world.runtime(
    'while [ $# -gt 0 ]; do if [ "$1" = --log ]; then log=$2; fi; shift; done',
    `echo '${refusal}' >> "$log"`,
    'echo refused >&2',
    'exit 1',
  );
  assert.deepEqual([world.run(world.crun), world.calls()], [[...STEPS, 'refuses'], 1]);
  assert.deepEqual([world.run(world.crun), world.calls()], [[...STEPS, 'refuses'], 0]);
  world.runtime('exec runc "$@"');
  assert.deepEqual([world.run(world.crun), world.calls()], [[...STEPS, 'runs'], 3]);
});

test(
  'one that cannot keep a container that ended is not used: what held it to its limits is read then',
  needsContainers,
  () => {
    using world = new World();
    world.runtime(
      'case "$*" in *--keep*) echo "unrecognized option \'--keep\'" >&2; exit 64;; esac',
      'exec runc "$@"',
    );
    assert.deepEqual([world.run(world.crun), world.calls()], [[...STEPS, 'refuses'], 1]);
  },
);

test('steps run with the crun of this machine, or without it', needsContainers, () => {
  using world = new World();
  const version = spawnSync('crun', ['--version'], { encoding: 'utf8' }).stdout.split('\n')[0];
  const ran = world.run('');
  assert.ok(Array.isArray(ran));
  assert.deepEqual(ran.slice(0, 2), STEPS);
  note(`${version ?? 'crun'}, control groups of version 2: ${String(ran[2])}`);
});

test('where control groups of version 1 are mounted none is tried', needsContainers, (t) => {
  if (!/ - cgroup /.test(readFileSync('/proc/self/mountinfo', 'utf8'))) {
    t.skip('control groups of version 1 are not mounted');
    return;
  }
  using world = new World();
  assert.deepEqual(world.run(undefined), [...STEPS, 'no trial']);
});
