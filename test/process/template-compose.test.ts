import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Result, renderFailure, sha256 } from '../../src/base/index.ts';
import { createWorkLocks } from '../../src/cachedb/index.ts';
import type { Event } from '../../src/events/index.ts';
import { composeImage, createTemplateDriver } from '../../src/ops/index.ts';
import { createPackageStore } from '../../src/packages/index.ts';
import type { LayerChain, OpContext } from '../../src/ports/index.ts';
import { createSandbox } from '../../src/sandbox/index.ts';
import { createSnapshotter } from '../../src/snapshot/index.ts';
import {
  lockKey,
  parseTemplate,
  type TemplateLock,
  templateSource,
} from '../../src/template/index.ts';
import { DebianRepo } from '../rig/debian-repo.ts';
import { note } from '../rig/golden.ts';

/** These tests install real packages from the mirror that this machine's own apt uses. */
const hostCodename = existsSync('/etc/os-release')
  ? /^VERSION_CODENAME=(\S+)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1]
  : undefined;
const needsMirror: { readonly skip?: string } =
  userInfo().uid !== 0
    ? { skip: 'not root' }
    : !existsSync('/usr/bin/apt-get') || hostCodename === undefined
      ? { skip: 'this machine has no apt' }
      : {};

const signal = new AbortController().signal;

/** A whole store of its own; nothing is shared between two of them. */
class Machine implements AsyncDisposable {
  readonly dir = mkdtempSync(join(tmpdir(), 'varve-compose-'));
  readonly warnings: string[] = [];
  readonly log: string[] = [];
  readonly snapshots = createSnapshotter({ root: join(this.dir, 'snapshots') });
  readonly packages = createPackageStore({
    root: join(this.dir, 'packages'),
    clock: { now: () => Date.now() },
    locks: createWorkLocks(join(this.dir, 'locks')),
    hostRoot: '/',
    onDamage: (d) => this.warnings.push(d.name),
  });
  readonly deps = {
    packages: this.packages,
    snapshots: this.snapshots,
    sandbox: createSandbox({ stateDir: join(this.dir, 'sandbox') }),
    clock: { now: () => Date.now() },
    workDir: join(this.dir, 'work'),
  };

  constructor() {
    mkdirSync(join(this.dir, 'sandbox'), { recursive: true });
  }

  get context(): OpContext {
    const digest = sha256('template');
    return {
      signal,
      emit: (event: Event) => {
        if (event.type === 'log') this.log.push(Buffer.from(event.data).toString());
      },
      vertex: {
        digest,
        op: { inputs: [], body: { kind: 'terminal' } },
        pb: new Uint8Array(),
        metadata: { description: {}, ignoreCache: false, caps: [], spans: [] },
      },
    };
  }

  async resolve(text: string): Promise<Result<TemplateLock>> {
    return await this.packages.resolve(must(parseTemplate({ path: 'os.yml', text })), {
      architecture: execFileSync('dpkg', ['--print-architecture']).toString().trim(),
      refresh: 'auto',
      warn: (w) => this.warnings.push(w),
      signal,
    });
  }

  async compose(text: string) {
    return await composeImage(
      must(parseTemplate({ path: 'os.yml', text })),
      { ...this.deps, resolve: async () => await this.resolve(text) },
      { ...this.context, name: 'os.yml' },
    );
  }

  async diffId(chain: LayerChain): Promise<string> {
    const hash = createHash('sha256');
    for await (const chunk of this.snapshots.tar(chain, { signal })) hash.update(chunk);
    return hash.digest('hex');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.packages[Symbol.asyncDispose]();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

const isUnreachable = (result: Result<unknown>): boolean =>
  !result.ok && result.error.code === 'PK002';

function must<T>(result: Result<T>): T {
  assert.ok(result.ok, result.ok ? '' : renderFailure(result.error));
  return result.value;
}

const TEMPLATE = `suite: ${hostCodename ?? ''}
packages: [python3-minimal]
users:
  - {name: app, uid: 1000, groups: [users]}
files:
  - {path: /etc/motd, content: "made of packages\\n"}
env: {LANG: C.UTF-8}
`;

const inRoot = (root: string, ...args: readonly string[]): string =>
  execFileSync('chroot', [root, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

test(
  'a template composed on two empty stores gives one layer, in which dpkg and apt find everything in order',
  needsMirror,
  async (t) => {
    await using first = new Machine();
    await using second = new Machine();
    const made = await first.compose(TEMPLATE);
    if (isUnreachable(made)) {
      t.skip('the mirror cannot be reached');
      return;
    }
    const one = must(made);
    const two = must(await second.compose(TEMPLATE));
    const layer = await first.diffId(one.chain);
    assert.equal(await second.diffId(two.chain), layer);
    assert.equal(lockKey(two.lock), lockKey(one.lock));
    assert.deepEqual(one.config, {
      Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'LANG=C.UTF-8'],
      Cmd: ['bash'],
      WorkingDir: '/',
    });
    await using mounted = await first.snapshots.mount(one.chain);
    const root = mounted.path;
    const installed = inRoot(
      root,
      'dpkg-query',
      '-W',
      '-f',
      '${Package} ${Version} ${db:Status-Status}\n',
    );
    assert.deepEqual(
      installed.trim().split('\n').sort(),
      one.lock.packages.map((p) => `${p.name} ${p.version} installed`).sort(),
    );
    assert.deepEqual(
      {
        audit: inRoot(root, 'dpkg', '--audit'),
        verify: inRoot(root, 'dpkg', '--verify'),
        python: inRoot(root, 'python3', '-c', 'print(6 * 7)').trim(),
        user: inRoot(root, 'id', 'app').trim(),
        motd: readFileSync(join(root, 'etc/motd'), 'utf8'),
        left: [
          'etc/machine-id',
          'var/log/dpkg.log',
          'usr/sbin/policy-rc.d',
          'run/varve-packages',
          'etc/passwd-',
        ].filter((p) => existsSync(join(root, p)) && readFileSync(join(root, p), 'utf8') !== ''),
      },
      {
        audit: '',
        verify: '',
        python: '42',
        user: 'uid=1000(app) gid=1000(app) groups=1000(app),100(users)',
        motd: 'made of packages\n',
        left: [],
      },
    );
    note(
      `compose: ${one.lock.packages.length} packages, two empty stores, 1 layer of ${layer.slice(0, 12)}`,
    );
  },
);

test(
  'a package whose script fails stops the build with what it said, and nothing is left',
  needsMirror,
  async (t) => {
    await using repo = await DebianRepo.start();
    const postinst = '#!/bin/sh\necho "cannot find the frobnicator" >&2\nexit 3\n';
    repo.add({ name: 'broken', scripts: { postinst } });
    repo.publish('stable');
    await using machine = new Machine();
    const lock = await machine.resolve(`suite: ${hostCodename ?? ''}\nvariant: essential\n`);
    if (isUnreachable(lock)) {
      t.skip('the mirror cannot be reached');
      return;
    }
    const deb = readFileSync(join(repo.files, 'pool/main/broken_1.0_amd64.deb'));
    const base = must(lock);
    const [source] = base.sources;
    assert.ok(source);
    const broken: TemplateLock = {
      ...base,
      sources: [...base.sources, { ...source, uri: repo.uri }],
      packages: [
        ...base.packages,
        {
          name: 'broken',
          version: '1.0',
          architecture: 'amd64',
          sha256: sha256(deb),
          size: deb.length,
          path: 'pool/main/broken_1.0_amd64.deb',
          source: base.sources.length,
          step: 1,
          manual: true,
          reason: 'asked for',
        },
      ],
    };
    const driver = createTemplateDriver(templateSource('broken', broken), machine.deps);
    const result = await driver.run(machine.context, []);
    assert.ok(!result.ok);
    assert.deepEqual(
      {
        code: result.error.code,
        message: result.error.message,
        said: result.error.details?.includes('cannot find the frobnicator'),
        named: result.error.details?.at(-1),
        left: readdirSync(join(machine.dir, 'work')),
        layers: await Array.fromAsync(machine.snapshots.list()),
      },
      {
        code: 'PK050',
        message: 'dpkg cannot install the packages (exit code: 1)',
        said: true,
        named: ' broken',
        left: [],
        layers: [],
      },
    );
  },
);
