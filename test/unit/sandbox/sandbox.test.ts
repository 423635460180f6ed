import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Result } from '../../../src/base/index.ts';
import type { SandboxExit, SandboxSpec } from '../../../src/ports/index.ts';
import { openAgentSockets } from '../../../src/sandbox/agent-sockets.ts';
import { createSandbox } from '../../../src/sandbox/index.ts';
import { makeRootfs, needsContainers, shellSpec } from './busybox.ts';

/** A root file system and a sandbox in a temporary directory, and what one step printed. */
class Box implements Disposable {
  readonly dir = mkdtempSync(join(tmpdir(), 'varve-sandbox-'));
  readonly rootfs = makeRootfs(join(this.dir, 'rootfs'));
  readonly state = join(this.dir, 'state');
  readonly sandbox = createSandbox({ stateDir: this.state });
  readonly printed: Record<1 | 2, string> = { 1: '', 2: '' };
  #count = 0;

  spec(script: string, more: Partial<SandboxSpec> = {}): SandboxSpec {
    return { ...shellSpec(this.rootfs, `t${process.pid}-${this.#count++}`, script), ...more };
  }

  async run(script: string, more: Partial<SandboxSpec> = {}): Promise<Result<SandboxExit>> {
    return await this.start(this.spec(script, more), new AbortController().signal);
  }

  async start(
    spec: SandboxSpec,
    signal: AbortSignal,
    onOutput: () => void = () => undefined,
  ): Promise<Result<SandboxExit>> {
    return await this.sandbox.run(spec, {
      signal,
      output: (stream, data) => {
        this.printed[stream] += Buffer.from(data).toString();
        onOutput();
      },
    });
  }

  /** What is left of runs: bundles, runtime state, control groups, mounts, processes with the marker. */
  leftovers(): string[] {
    const groups = readdirSync('/sys/fs/cgroup', { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .flatMap((entry) => readdirSync(join('/sys/fs/cgroup', entry.name)))
      .filter((name) => name.startsWith(`varve-t${process.pid}-`));
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .filter((line) => line.includes(this.dir));
    const bundles = readdirSync(this.state).filter(
      (name) => !['runtime', 'runtime-trial', 'owners'].includes(name),
    );
    return [
      ...groups,
      ...mounts,
      ...bundles,
      // Compiled filters are for the next step.
      ...readdirSync(join(this.state, 'runtime')).filter((name) => name !== '.cache'),
      ...readdirSync(join(this.state, 'owners')),
    ];
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true });
  }
}

const done = (code: number, more: Partial<SandboxExit> = {}): Result<SandboxExit> => ({
  ok: true,
  value: { code, timedOut: false, outOfMemory: false, ...more },
});

test(
  'a step sees its arguments, environment, user, directory, host name and both output streams apart',
  needsContainers,
  async () => {
    using box = new Box();
    const exit = await box.run(
      'echo "$A $PWD $(id -u):$(id -g) $(id -G) $(hostname) $(umask)"; echo e >&2; exit 3',
      {
        env: ['PATH=/bin', 'A=a b'],
        cwd: '/tmp',
        user: { uid: 1000, gid: 1000, additionalGids: [50] },
        hostname: 'buildbox',
      },
    );
    assert.deepEqual(exit, done(3));
    assert.deepEqual(box.printed, {
      1: 'a b /tmp 1000:1000 1000 50 buildbox 0022\n',
      2: 'e\n',
    });
    assert.deepEqual(box.leftovers(), []);
  },
);

test(
  'hosts and resolver configuration are there and leave nothing in the root, times included',
  needsContainers,
  async () => {
    using box = new Box();
    rmSync(join(box.rootfs, 'run'), { recursive: true });
    const before = lstatSync(join(box.rootfs, 'etc')).mtimeMs;
    const extraHosts = [{ host: 'db', ip: '10.0.0.7' }];
    const exit = await box.run('cat /etc/hosts; test -f /etc/resolv.conf && echo dns', {
      extraHosts,
    });
    assert.deepEqual(exit, done(0));
    assert.equal(
      box.printed[1],
      '127.0.0.1\tlocalhost buildkitsandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n10.0.0.7\tdb\ndns\n',
    );
    assert.deepEqual(readdirSync(join(box.rootfs, 'etc')), ['group', 'passwd']);
    assert.equal(lstatSync(join(box.rootfs, 'etc')).mtimeMs, before);
  },
);

test(
  'mount points that did not exist go away, what a step wrote beside them stays',
  needsContainers,
  async () => {
    using box = new Box();
    const source = join(box.dir, 'source');
    mkdirSync(source);
    writeFileSync(join(source, 'f'), 'from outside');
    const bind = (target: string, readonly: boolean) =>
      ({ kind: 'bind', source, target, readonly }) as const;
    const script = 'cat /ro/f; echo; echo x > /ro/g; echo y > /deep/er/rw/g; echo z > /deep/mine';
    const exit = await box.run(script, { mounts: [bind('/deep/er/rw', false), bind('/ro', true)] });
    assert.deepEqual(exit, done(0));
    assert.deepEqual(box.printed, {
      1: 'from outside\n',
      2: "/bin/sh: can't create /ro/g: Read-only file system\n",
    });
    assert.equal(readFileSync(join(source, 'g'), 'utf8'), 'y\n');
    assert.equal(existsSync(join(box.rootfs, 'ro')), false);
    assert.deepEqual(readdirSync(join(box.rootfs, 'deep')), ['er', 'mine']);
    assert.deepEqual(readdirSync(join(box.rootfs, 'deep/er')), []);
    const recursive = { mounts: [bind('/other/er', false)], removeMountStubs: true };
    assert.deepEqual(await box.run('true', recursive), done(0));
    assert.equal(existsSync(join(box.rootfs, 'other')), false);
  },
);

test('a mount point behind a link is made inside the root', needsContainers, async () => {
  using box = new Box();
  symlinkSync(join('..', '..', '..', '..', '..', box.dir, 'outside'), join(box.rootfs, 'var'));
  const mounts = [{ kind: 'tmpfs', target: '/var/cache' }] as const;
  assert.deepEqual(await box.run('touch /var/cache/x; ls /var/cache', { mounts }), done(0));
  assert.equal(box.printed[1], 'x\n');
  assert.equal(existsSync(join(box.dir, 'outside')), false);
});

test(
  'a secret is a file in memory with mode and owner, and nowhere on disk',
  needsContainers,
  async () => {
    using box = new Box();
    const data = Buffer.from('s3cr3t-value');
    const mounts = [
      { kind: 'secret', data, target: '/run/secrets/a', mode: 0o400, uid: 1000, gid: 50 },
    ] as const;
    const exit = await box.run(
      'stat -c "%a %u:%g" /run/secrets/a; cat /run/secrets/a; grep /run/secrets /proc/mounts | cut -d" " -f3',
      { mounts },
    );
    assert.deepEqual(exit, done(0));
    assert.equal(box.printed[1], '400 1000:50\ns3cr3t-valuetmpfs\n');
    assert.deepEqual(readdirSync(join(box.rootfs, 'run'), { recursive: true }), ['secrets']);
    assert.deepEqual(box.leftovers(), []);
  },
);

test(
  'an agent is reached through a socket of its own with mode and owner',
  needsContainers,
  async () => {
    using box = new Box();
    const source = join(box.dir, 'agent');
    const server = createServer((socket) => socket.pipe(socket)).listen(source);
    const mount = {
      kind: 'socket',
      source,
      target: '/run/ssh',
      mode: 0o600,
      uid: 1000,
      gid: 1000,
    } as const;
    try {
      const exit = await box.run('stat -c "%F %a %u:%g" /run/ssh', { mounts: [mount] });
      assert.deepEqual([exit, box.printed[1]], [done(0), 'socket 600 1000:1000\n']);
      await using sockets = await openAgentSockets(join(box.dir, 'sockets'), [mount]);
      const client = connect(sockets.files.get(0) ?? '');
      client.write('question');
      assert.equal(String((await once(client, 'data'))[0]), 'question');
      client.destroy();
    } finally {
      server.close();
    }
  },
);

test(
  'without network there is only the loopback interface, and it is up',
  needsContainers,
  async () => {
    using box = new Box();
    assert.deepEqual(
      await box.run('ls /sys/class/net; ip addr show lo | grep -o "inet 127[^ ]*"', {
        network: 'none',
      }),
      done(0),
    );
    assert.equal(box.printed[1], 'lo\ninet 127.0.0.1/8\n');
  },
);

test('limits of files, memory file systems and processes hold', needsContainers, async () => {
  using box = new Box();
  const exit = await box.run(
    'ulimit -n; ulimit -c; df -k /dev/shm | tail -n 1 | tr -s " " | cut -d" " -f2',
    {
      ulimits: [
        { name: 'nofile', soft: 77, hard: 88 },
        { name: 'core', soft: 0, hard: -1 },
      ],
      shmSizeBytes: 1 << 20,
    },
  );
  assert.deepEqual([exit, box.printed[1]], [done(0), '77\n0\n1024\n']);
  // More than the threads of the runtime, which begins in the control group of the step.
  const forks = await box.run('i=0; while test $i -lt 60; do sleep 9 & i=$((i+1)); done', {
    limits: { pids: 32 },
  });
  assert.deepEqual(
    [forks, box.printed[2]],
    [done(2), "/bin/sh: can't fork: Resource temporarily unavailable\n"],
  );
  assert.deepEqual(box.leftovers(), []);
});

test(
  'a step that needs more memory than its limit is reported as out of memory',
  needsContainers,
  async () => {
    using box = new Box();
    const exit = await box.run('exec tail /dev/zero', { limits: { memoryBytes: 16 << 20 } });
    assert.deepEqual(exit, done(137, { signal: 'SIGKILL', outOfMemory: true }));
    assert.deepEqual(box.leftovers(), []);
  },
);

test(
  'a step that takes longer than its limit ends with all its processes',
  needsContainers,
  async () => {
    using box = new Box();
    const exit = await box.run('sleep 777 & sleep 777', { limits: { timeoutMs: 200 } });
    assert.deepEqual(exit, done(137, { signal: 'SIGKILL', timedOut: true }));
    assert.deepEqual(box.leftovers(), []);
  },
);

test(
  'cancelling ends the whole tree and leaves no process, mount, control group or directory',
  needsContainers,
  async () => {
    using box = new Box();
    const controller = new AbortController();
    const spec = box.spec('(while true; do sleep 778; done) & echo up; sleep 778');
    const reason = new Error('stopped by a test');
    const running = box.start(spec, controller.signal, () => controller.abort(reason));
    await assert.rejects(running, reason);
    const alive = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && existsSync(`/proc/${name}/cmdline`))
      .map((name) => readIfThere(`/proc/${name}/cmdline`))
      .filter((text) => text === 'sleep\x00778\x00');
    assert.deepEqual([alive, box.leftovers()], [[], []]);
  },
);

test('cancelling before the container exists leaves nothing either', needsContainers, async () => {
  using box = new Box();
  const controller = new AbortController();
  const reason = new Error('at once');
  const running = box.start(box.spec('sleep 779'), controller.signal);
  controller.abort(reason);
  await assert.rejects(running, reason);
  assert.deepEqual(box.leftovers(), []);
});

test(
  'a program that does not exist is the step’s failure, a missing runtime the machine’s',
  needsContainers,
  async () => {
    using box = new Box();
    const missing = await box.run('', { args: ['nosuch', 'x'] });
    assert.equal(missing.ok, false);
    assert.deepEqual(
      [missing.error.code, missing.error.exit, missing.error.message],
      [
        'SB002',
        1,
        'process "nosuch x" could not be started: exec: "nosuch": executable file not found in $PATH',
      ],
    );
    const other = createSandbox({ stateDir: box.state, runtime: '/nowhere/runc' });
    const signal = new AbortController().signal;
    const failed = await other.run(box.spec('true'), { signal, output: () => undefined });
    assert.equal(failed.ok, false);
    assert.deepEqual(
      [failed.error.code, failed.error.exit, failed.error.message, failed.error.help],
      [
        'SB001',
        3,
        'the container runtime "/nowhere/runc" cannot be started',
        'install runc 1.1 or newer, or crun',
      ],
    );
    assert.deepEqual(box.leftovers(), []);
  },
);

test(
  'what a killed process left running is ended and removed by the next one',
  needsContainers,
  async () => {
    using box = new Box();
    const program = `
    const { createSandbox } = await import('${join(import.meta.dirname, '../../../src/sandbox/index.ts')}');
    const spec = JSON.parse(process.argv[1]);
    spec.mounts = [{ kind: 'secret', data: Buffer.from('x'), target: '/s', mode: 0o400, uid: 0, gid: 0 }];
    await createSandbox({ stateDir: process.argv[2] }).run(spec, {
      signal: new AbortController().signal,
      output: () => process.kill(process.pid, 'SIGKILL'),
    });`;
    const spec = box.spec('echo up; while true; do sleep 780; done');
    const child = spawn(process.execPath, [
      '--input-type=module',
      '-e',
      program,
      JSON.stringify(spec),
      box.state,
    ]);
    assert.deepEqual(await once(child, 'exit'), [null, 'SIGKILL']);
    assert.notDeepEqual(box.leftovers(), []);
    assert.deepEqual(await box.run('true'), done(0));
    assert.deepEqual(box.leftovers(), []);
  },
);

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
