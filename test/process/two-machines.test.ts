import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { bundledProgram } from '../rig/bundle.ts';
import { note } from '../rig/golden.ts';
import { MachineNetwork, needsNetworks } from '../rig/machines.ts';
import { type FaultyProxy, startFaultyProxy, startRegistry } from '../rig/registry.ts';
import { BUSYBOX, needsSteps, Rig, statesOf } from '../rig/rig.ts';

const skip = needsSteps === false ? needsNetworks : needsSteps;
const MIB = 1024 * 1024;
const exec = promisify(execFile);

/** Dependencies that a step makes, large files from the context, code last: 36 MiB below one file that changes. */
const DOCKERFILE = `${BUSYBOX}COPY etc /etc
RUN mkdir -p /app /opt && dd if=/dev/urandom of=/opt/deps bs=1M count=24 && ln -s /app /code
COPY models /models
COPY --chown=app code /code/src
RUN --network=none true
`;
const COPY_CODE = '[6/7] COPY --chown=app code /code/src';

/** CPU seconds of a new machine's first build, and of an export after one changed file: other load changes wall time only. */
const [NEW_MACHINE_S, EXPORT_S] = [2, 1];

const bundles = mkdtempSync(join(tmpdir(), 'varve-bundle-'));
/** The program as users run it, under a shell that says in the end what its processes cost. */
let program: readonly string[] = [];
before(async () => {
  if (skip !== false) return;
  const command = await bundledProgram(bundles);
  program = ['sh', '-c', '"$@"; code=$?; times >&2; exit $code', 'sh', ...command];
});
after(() => rmSync(bundles, { recursive: true }));

/** User and system seconds of the processes below a shell: the second line of `times` (POSIX). */
function cpuOf(stderr: string): number {
  const times = /^(\d+)m([\d.]+)s (\d+)m([\d.]+)s$/;
  const [, ...numbers] = times.exec(stderr.trimEnd().split('\n').at(-1) ?? '') ?? [];
  const [userMin = 0, user = 0, systemMin = 0, system = 0] = numbers.map(Number);
  assert.equal(numbers.length, 4, stderr);
  return (userMin + systemMin) * 60 + user + system;
}

/** Two machines with empty stores, and a registry behind a proxy that counts. */
class World implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack();
  readonly rig = this.#stack.use(new Rig());
  readonly network = this.#stack.use(new MachineNetwork());
  readonly #machines = new Map<string, string>();
  proxy!: FaultyProxy; // Set by `open`, the only constructor that tests use.

  static async open(dockerfile: string): Promise<World> {
    const world = new World();
    const { rig } = world;
    rig.context('app', {
      Dockerfile: dockerfile,
      'etc/passwd': 'root:x:0:0::/:/bin/sh\napp:x:1234:2345::/:/bin/sh\n',
      'etc/group': 'root:x:0:\n',
      'code/main.py': 'print(1)\n',
      'code/lib/util.py': 'pass\n',
    });
    rig.write('app/models/a', randomBytes(12 * MIB));
    const registry = world.#stack.use(await startRegistry());
    const { address } = world.network;
    world.proxy = world.#stack.use(
      await startFaultyProxy(registry.url, () => undefined, { address }),
    );
    return world;
  }

  ref(name: string): string {
    return `${this.proxy.host}/team/${name}`;
  }

  /** Builds on a machine with a store of its own. */
  async build(
    machine: string,
    args: readonly string[],
  ): Promise<{
    readonly steps: Readonly<Record<string, string>>;
    readonly ms: number;
    /** CPU seconds of the command. */
    readonly cpu: number;
    readonly traffic: Traffic;
  }> {
    const network = this.#machines.get(machine) ?? this.network.machine();
    this.#machines.set(machine, network);
    this.proxy.seen.length = 0;
    const started = performance.now();
    const run = await this.rig.varve(['build', '--progress=rawjson', ...args, 'app'], {
      network,
      program,
      env: {
        VARVE_ROOT: join(this.rig.root, `store-${machine}`),
        VARVE_INSECURE_REGISTRIES: this.proxy.host,
      },
    });
    assert.equal(run.status, 0, run.stderr);
    const steps = Object.entries(statesOf(run.stderr)).filter(([name]) => name.startsWith('['));
    const ms = performance.now() - started;
    const cpu = cpuOf(run.stderr);
    return { steps: Object.fromEntries(steps), ms, cpu, traffic: trafficOf(this.proxy) };
  }

  /** The image's layers as the registry names them, pulled whole and verified by another implementation. */
  async verified(ref: string): Promise<{
    readonly config: string;
    readonly layers: readonly Layer[];
    readonly diffIds: readonly string[];
  }> {
    const dir = join(this.rig.root, ref.replace(/\W/g, '-'));
    mkdirSync(dir, { recursive: true });
    const flags = ['--insecure-policy', 'copy', '--quiet', '--src-tls-verify=false'];
    await exec('skopeo', [...flags, `docker://${ref}`, `dir:${dir}`]);
    // The documents that skopeo writes: an OCI manifest and configuration.
    const manifest = JSON.parse(readFileSync(join(dir, 'manifest.json'), 'utf8')) as {
      readonly config: { readonly digest: string };
      readonly layers: readonly Layer[];
    };
    const name = manifest.config.digest.slice('sha256:'.length);
    const config = JSON.parse(readFileSync(join(dir, name), 'utf8')) as {
      readonly rootfs: { readonly diff_ids: readonly string[] };
    };
    const {
      layers,
      config: { digest },
    } = manifest;
    return { config: digest, layers, diffIds: config.rootfs.diff_ids };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]();
  }
}

interface Layer {
  readonly digest: string;
  readonly size: number;
}

interface Traffic {
  /** Methods and kinds of what was asked for, in order. */
  readonly requests: readonly string[];
  /** Digests of blobs that were downloaded. */
  readonly pulled: readonly string[];
  readonly pulledBytes: number;
  readonly pushedBytes: number;
  readonly mounted: readonly string[];
}

function trafficOf(proxy: FaultyProxy): Traffic {
  const { seen } = proxy;
  const gets = seen.filter((r) => r.method === 'GET');
  const url = (path: string): URL => new URL(path, 'http://registry');
  return {
    requests: seen.map((r) => `${r.method} ${r.path.split('/').at(-2) ?? ''}`),
    pulled: gets.flatMap((r) => r.path.split('/blobs/')[1] ?? []),
    pulledBytes: gets.reduce((sum, r) => sum + r.answered, 0),
    pushedBytes: seen.reduce((sum, r) => sum + r.sent, 0),
    mounted: seen.flatMap((r) => url(r.path).searchParams.get('mount') ?? []),
  };
}

const costs = ({ ms, cpu }: { readonly ms: number; readonly cpu: number }): string =>
  `${cpu.toFixed(2)} CPU s, ${ms.toFixed(0)} ms`;

const states = (steps: Readonly<Record<string, string>>, state: string): string[] =>
  Object.keys(steps).filter((name) => steps[name] === state);

test('a new machine runs no step and pulls no layer; one changed file is copied, pushed and pulls no layer either', {
  skip,
}, async () => {
  await using world = await World.open(DOCKERFILE.replace(/RUN --network=none true\n$/, ''));
  const code = COPY_CODE.replace('/7]', '/6]');
  const { rig } = world;
  const cache = `type=registry,ref=${world.ref('cache:main')}`;
  const [one, two, other] = [world.ref('app:1'), world.ref('app:2'), world.ref('other:2')];
  await world.build('a', ['-t', one, '--push', '--cache-to', `${cache},mode=max`]);
  const first = await world.verified(one);

  const cached = await world.build('b', ['--cache-from', cache, '-t', two]);
  assert.deepEqual(states(cached.steps, 'CACHED').length, 6);
  // The manifest and the config, and nothing else.
  assert.equal(cached.traffic.pulled.length, 1);
  assert.deepEqual(cached.traffic.requests, ['GET manifests', 'GET blobs']);
  assert.deepEqual(cached.traffic.mounted, []);
  assert.ok(cached.cpu <= NEW_MACHINE_S, `${cached.cpu} CPU seconds`);
  note(`all cached on a new machine: ${costs(cached)}, ${cached.traffic.pulledBytes} bytes`);

  rig.write('app/code/main.py', 'print(2)\n');
  const changed = await world.build('b', ['--cache-from', cache, '-t', two, '--push']);
  assert.deepEqual(states(changed.steps, 'DONE'), [code]);
  const layers = new Set(first.layers.map(({ digest }) => digest));
  assert.deepEqual(
    changed.traffic.pulled.filter((digest) => layers.has(digest)),
    [],
  );
  // The manifest and the file index; what is sent is the new layer, the configuration and the manifest.
  assert.ok(changed.traffic.pulledBytes < 16_384, `${changed.traffic.pulledBytes} bytes pulled`);
  assert.ok(changed.traffic.pushedBytes < 16_384, `${changed.traffic.pushedBytes} bytes pushed`);
  assert.ok(changed.cpu <= NEW_MACHINE_S, `${changed.cpu} CPU seconds`);
  note(
    `one file changed and pushed: ${costs(changed)}, ${changed.traffic.pulledBytes} bytes pulled, ${changed.traffic.pushedBytes} pushed`,
  );
  const second = await world.verified(two);
  assert.deepEqual(second.layers.slice(0, -1), first.layers.slice(0, -1));
  assert.notDeepEqual(second.layers.at(-1), first.layers.at(-1));

  // Another repository of the registry: what machine b never had is mounted there by the registry itself.
  const mounted = await world.build('b', ['--cache-from', cache, '-t', other, '--push']);
  assert.deepEqual(mounted.traffic.pulled, []);
  assert.deepEqual(
    mounted.traffic.mounted.toSorted(),
    [second.config, ...second.layers.map(({ digest }) => digest)].sort(),
  );
  assert.deepEqual(await world.verified(other), second);

  // What a build with its export costs after one change, and what it sends.
  const exported = await world.build('a', ['--cache-to', `${cache},mode=max`]);
  assert.deepEqual(states(exported.steps, 'DONE'), [code]);
  assert.ok(exported.cpu <= EXPORT_S, `${exported.cpu} CPU seconds`);
  assert.ok(exported.traffic.pushedBytes < 16_384, `${exported.traffic.pushedBytes} bytes pushed`);
  note(
    `one file changed and exported: ${costs(exported)}, ${exported.traffic.pushedBytes} bytes pushed`,
  );

  // A layer that was written over indexes is the layer that is written over the extracted layers.
  await world.build('a', ['-t', one, '--push']);
  assert.deepEqual((await world.verified(one)).diffIds, second.diffIds);
});

test('a step that runs on a layer written over indexes finds the files of all layers below it', {
  skip,
}, async () => {
  const check =
    'cat /opt/deps /models/a | wc -c > /sum && ls -lnR /app >> /sum && cat /code/src/main.py >> /sum';
  await using world = await World.open(
    DOCKERFILE.replace('RUN --network=none true', `RUN --network=none ${check}`),
  );
  const { rig } = world;
  const cache = `type=registry,ref=${world.ref('cache:main')}`;
  await world.build('a', ['--cache-to', `${cache},mode=max`]);
  rig.write('app/code/main.py', 'print(2)\n');
  const out = ['--cache-from', cache, '-o', `type=local,dest=${join(rig.root, 'out')}`];
  const { steps } = await world.build('b', out);
  assert.deepEqual(states(steps, 'DONE'), [COPY_CODE, `[7/7] RUN --network=none ${check}`]);
  const lines = readFileSync(join(rig.root, 'out/sum'), 'utf8').split('\n');
  assert.equal(lines[0], String(36 * MIB));
  assert.equal(lines.at(-2), 'print(2)');
  assert.match(lines.join('\n'), /^-rw-r--r--\s+1 1234\s+2345\s+9 .* main\.py$/m);
});

test('an inline cache brings the file indexes of its image: one changed file pulls no layer', {
  skip,
}, async () => {
  await using world = await World.open(DOCKERFILE.replace(/RUN --network=none true\n$/, ''));
  const { rig } = world;
  const [one, two] = [world.ref('app:1'), world.ref('app:2')];
  await world.build('a', ['-t', one, '--push', '--cache-to', 'type=inline']);
  const first = await world.verified(one);

  const cached = await world.build('b', ['--cache-from', one, '-t', two]);
  assert.deepEqual(states(cached.steps, 'CACHED').length, 6);
  assert.deepEqual(cached.traffic.requests, ['GET manifests', 'GET blobs']);

  rig.write('app/code/main.py', 'print(2)\n');
  const changed = await world.build('c', ['--cache-from', one, '-t', two, '--push']);
  assert.deepEqual(states(changed.steps, 'DONE'), [COPY_CODE.replace('/7]', '/6]')]);
  const layers = new Set(first.layers.map(({ digest }) => digest));
  assert.deepEqual(
    changed.traffic.pulled.filter((digest) => layers.has(digest)),
    [],
  );
  const asked = changed.traffic.requests.filter((request) => request.startsWith('GET'));
  note(`inline: ${asked.join(', ')}; ${changed.traffic.pulledBytes} bytes pulled`);
});
