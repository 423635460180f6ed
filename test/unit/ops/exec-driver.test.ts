import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ExecMeta, ExecOp, Mount } from '../../../src/llb/index.ts';
import {
  createCacheMounts,
  createExecDriver,
  type ExecDriverDeps,
} from '../../../src/ops/index.ts';
import type { LayerChain, Snapshotter } from '../../../src/ports/index.ts';
import { createSandbox } from '../../../src/sandbox/index.ts';
import { makeRootfs, needsContainers } from '../sandbox/busybox.ts';
import { World } from './world.ts';

/** Layers, a busybox base, and a driver. */
class Steps extends World {
  readonly base: LayerChain = this.layer('');
  readonly caches = createCacheMounts({ root: join(this.dir, 'mounts') });

  constructor() {
    super();
    makeRootfs(this.upper(this.base[0]));
  }

  driver(more: Partial<ExecDriverDeps> = {}) {
    return createExecDriver({
      sandbox: createSandbox({ stateDir: join(this.dir, 'sandbox') }),
      snapshotter: this.snapshotter as Snapshotter,
      trees: this.trees,
      cacheMounts: this.caches,
      clock: { now: () => 7 },
      secrets: {
        secret: (id) => Promise.resolve(id === 's1' ? Buffer.from('sesame') : undefined),
        agent: () => undefined,
      },
      ...more,
    });
  }

  /** Runs a script; returns the results' own entries, or the failure. */
  async run(
    script: string,
    more: {
      readonly meta?: Partial<ExecMeta>;
      readonly op?: Partial<ExecOp>;
      readonly mounts?: readonly Mount[];
      readonly inputs?: readonly LayerChain[];
      readonly ignoreCache?: boolean;
      readonly driver?: ReturnType<typeof createExecDriver>;
    } = {},
  ) {
    const op: ExecOp = {
      meta: { ...META, args: ['/bin/sh', '-c', script], ...more.meta },
      mounts: [mountOf('/', { input: 0, output: 0 }), ...(more.mounts ?? [])],
      network: 2,
      security: 0,
      secretenv: [],
      cdiDevices: [],
      ...more.op,
    };
    const context = this.context(
      { kind: 'exec', exec: op },
      { ignoreCache: more.ignoreCache ?? false },
    );
    const result = await (more.driver ?? this.driver()).run(context, [
      this.base,
      ...(more.inputs ?? []),
    ]);
    if (!result.ok) return result.error;
    return result.value.map((chain) => (chain === undefined ? [] : this.entries(chain)));
  }
}

const META: ExecMeta = {
  args: [],
  env: ['PATH=/bin'],
  cwd: '/',
  user: '',
  extraHosts: [],
  hostname: '',
  ulimit: [],
  cgroupParent: '',
  removeMountStubsRecursive: false,
  validExitCodes: [],
};

function mountOf(dest: string, more: Partial<Mount> = {}): Mount {
  return {
    input: -1,
    selector: '',
    dest,
    output: -1,
    readonly: false,
    mountType: 0,
    resultID: '',
    contentCache: 0,
    ...more,
  };
}

const namesOf = (entries: readonly string[]): string[] => entries.map((l) => l.split(' ')[0] ?? '');

test('what a step writes is its layer, and only that', needsContainers, async () => {
  await using steps = new Steps();
  const results = await steps.run('echo hi > /tmp/new; rm /etc/group; echo out; echo err >&2');
  assert.ok(Array.isArray(results));
  assert.deepEqual(
    results.map((entries) => entries.map((l) => l.replace(/ \d+:\d+.*/, ''))),
    [['etc dir 755', 'etc/group whiteout', 'tmp dir 755', 'tmp/new file 644']],
  );
  assert.deepEqual(steps.output().split('\n').sort(), ['', 'err', 'out']);
});

test(
  'a failed step gives its exit code, the last lines and the log, and no layer',
  needsContainers,
  async () => {
    await using steps = new Steps();
    const driver = steps.driver({ logPath: () => '/logs/step.log' });
    const failed = await steps.run('seq 1 30; exit 7', { driver });
    const last = Array.from({ length: 20 }, (_, i) => String(i + 11));
    assert.deepEqual(failed, {
      code: 'SB010',
      exit: 1,
      message: 'process "/bin/sh -c seq 1 30; exit 7" did not complete successfully: exit code: 7',
      details: [...last, 'full log: /logs/step.log'],
    });
    assert.deepEqual(await steps.run('exit 7', { meta: { validExitCodes: [7] } }), [[]]);
  },
);

test('the user is looked up in the root file system', needsContainers, async () => {
  await using steps = new Steps();
  const ids = async (user: string) => {
    steps.events.length = 0;
    const result = await steps.run('echo $(id -u):$(id -g) $(id -G) $HOME', { meta: { user } });
    return Array.isArray(result) ? steps.output().trim() : `${result.code} ${result.message}`;
  };
  assert.deepEqual(
    [
      await ids(''),
      await ids('app'),
      await ids('app:staff'),
      await ids('1234'),
      await ids('1000:7'),
    ],
    [
      '0:0 0 /root',
      '1000:1000 1000 50 /home/app',
      '1000:50 50 /home/app',
      '1234:0 0 /',
      '1000:7 7 /home/app',
    ],
  );
  assert.equal(
    await ids('ghost'),
    'SB004 unable to find user ghost: no matching entries in passwd file',
  );
  assert.equal(
    await ids('app:ghosts'),
    'SB004 unable to find group ghosts: no matching entries in group file',
  );
});

test('a working directory that is gone is made again for the user', needsContainers, async () => {
  await using steps = new Steps();
  const results = await steps.run('pwd', { meta: { cwd: '/srv/app', user: '1000:1000' } });
  assert.ok(Array.isArray(results));
  assert.equal(steps.output(), '/srv/app\n');
  assert.deepEqual(results, [['srv dir 755 1000:1000', 'srv/app dir 755 1000:1000']]);
});

test(
  'bind mounts show the selected part; writes to them are dropped or refused',
  needsContainers,
  async () => {
    await using steps = new Steps();
    const tree = steps.layer('d/one = 1\nd/link -> /secret\nsecret = s');
    const script =
      'cat /ro/one /rw/one /f; echo x > /rw/two; ls /rw; echo y > /ro/two; touch /here';
    const results = await steps.run(script, {
      inputs: [tree],
      mounts: [
        mountOf('/ro', { input: 1, selector: '/d', readonly: true }),
        mountOf('/rw', { input: 1, selector: 'd' }),
        mountOf('/f', { input: 1, selector: '/d/link', readonly: true }),
      ],
    });
    assert.ok(Array.isArray(results), JSON.stringify(results));
    assert.deepEqual(namesOf(results[0] ?? []), ['here']);
    assert.deepEqual(
      steps
        .output()
        .split('\n')
        .filter((l) => !l.startsWith('/bin/sh')),
      ['11slink', 'one', 'two', ''],
    );
    assert.deepEqual(namesOf(steps.entries(tree)), ['d', 'd/link', 'd/one', 'secret']);
    const missing = await steps.run('true', {
      inputs: [tree],
      mounts: [mountOf('/x', { input: 1, selector: '/no', readonly: true })],
    });
    assert.ok(!Array.isArray(missing));
    assert.deepEqual([missing.code, missing.message], ['SB007', 'mount /x: "/no": not found']);
  },
);

test('every output mount is a result', needsContainers, async () => {
  await using steps = new Steps();
  const tree = steps.layer('old = o');
  const results = await steps.run('echo n > /out/new; echo m > /scratch/made', {
    inputs: [tree],
    mounts: [
      mountOf('/out', { input: 1, output: 1 }),
      mountOf('/scratch', { output: 2 }),
      mountOf('/same', { input: 1, output: 3, readonly: true }),
    ],
  });
  assert.ok(Array.isArray(results));
  assert.deepEqual(results.map(namesOf), [[], ['new'], ['made'], ['old']]);
});

test(
  'a cache mount keeps its content between steps and enters no layer',
  needsContainers,
  async () => {
    await using steps = new Steps();
    const cache = (ID: string, more: Partial<Mount> = {}) =>
      mountOf('/cache', { mountType: 3, cacheOpt: { ID, sharing: 0 }, ...more });
    const script = 'echo x >> /cache/f; wc -l < /cache/f';
    const all = [
      await steps.run(script, { mounts: [cache('a')] }),
      await steps.run(script, { mounts: [cache('a')] }),
      await steps.run(script, { mounts: [cache('b')] }),
    ];
    assert.deepEqual([all, steps.output()], [[[[]], [[]], [[]]], '1\n2\n1\n']);
    const base = steps.layer('c/ [700 5:6]\nc/f = first\n');
    steps.events.length = 0;
    await steps.run('stat -c "%a %u:%g" /cache; cat /cache/f', {
      inputs: [base],
      mounts: [cache('a', { input: 1, selector: '/c' })],
    });
    assert.equal(steps.output(), '700 5:6\nfirst');
  },
);

test('without cache a cache mount starts empty once a build', needsContainers, async () => {
  await using steps = new Steps();
  const mounts = [mountOf('/cache', { mountType: 3, cacheOpt: { ID: 'a', sharing: 0 } })];
  const script = 'echo x >> /cache/f; wc -l < /cache/f';
  await steps.run(script, { mounts });
  const driver = steps.driver();
  for (let i = 0; i < 2; i++) await steps.run(script, { mounts, driver, ignoreCache: true });
  assert.equal(steps.output(), '1\n1\n2\n');
});

test(
  'secrets arrive as files and variables, are in no layer, and are not shown',
  needsContainers,
  async () => {
    await using steps = new Steps();
    const secretOpt = { ID: 's1', uid: 0, gid: 0, mode: 0o400, optional: false };
    const results = await steps.run(
      'test "$SEC" = ses"ame" && cat /run/secrets/s1 && wc -c < /run/secrets/s1; echo " $SEC [$NONE]"',
      {
        mounts: [
          mountOf('/run/secrets/s1', { mountType: 1, secretOpt }),
          mountOf('/run/secrets/no', {
            mountType: 1,
            secretOpt: { ...secretOpt, ID: 'no', optional: true },
          }),
        ],
        op: {
          secretenv: [
            { ID: 's1', name: 'SEC', optional: false },
            { ID: 'no', name: 'NONE', optional: true },
          ],
        },
      },
    );
    assert.ok(Array.isArray(results));
    assert.deepEqual(
      [results.map(namesOf), steps.output()],
      [[['run', 'run/secrets']], '****6\n **** []\n'],
    );
    const needed = mountOf('/x', { mountType: 1, secretOpt: { ...secretOpt, ID: 'no' } });
    assert.deepEqual(await steps.run('true', { mounts: [needed] }), {
      code: 'SB005',
      exit: 1,
      message: 'secret no: not found',
      help: 'pass it with --secret',
    });
    const agent = mountOf('/a', { mountType: 2, SSHOpt: { ...secretOpt, ID: 'default' } });
    assert.deepEqual(await steps.run('true', { mounts: [agent] }), {
      code: 'SB006',
      exit: 1,
      message: 'no SSH key "default" forwarded from the client',
      help: 'pass it with --ssh',
    });
  },
);

test(
  'proxy variables are set in both spellings and PATH has a default',
  needsContainers,
  async () => {
    await using steps = new Steps();
    await steps.run('env | grep -iE "proxy|^PATH" | sort', {
      meta: { env: [], proxy_env: { http_proxy: 'http://p:1', no_proxy: 'x' } },
    });
    assert.deepEqual(steps.output().trim().split('\n'), [
      'HTTP_PROXY=http://p:1',
      'NO_PROXY=x',
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      'http_proxy=http://p:1',
      'no_proxy=x',
    ]);
  },
);

test('a step over its time limit says so', needsContainers, async () => {
  await using steps = new Steps();
  const driver = steps.driver({ limitsOf: () => ({ timeoutMs: 150 }) });
  assert.deepEqual(await steps.run('echo start; sleep 60', { driver }), {
    code: 'SB010',
    exit: 1,
    message:
      'process "/bin/sh -c echo start; sleep 60" did not complete successfully: time limit of 0.15 s exceeded',
    details: ['start'],
  });
});
