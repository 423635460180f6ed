/**
 * `npm run bench [-- --quick] [-- --json FILE]`: builds each workload with Varve and, where it is installed, buildah,
 * interleaved in one run, and prints medians, spread and ratios. Every case names its cache state: cold (empty store),
 * no-op (nothing changed), one-file (one file changed). The base is a static busybox of Debian.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Command, measure, median, type Sample, spread } from './measure.ts';
import {
  files,
  large,
  type MakeWorkload,
  service,
  stages,
  steps,
  type Workload,
} from './workloads.ts';

interface Peer {
  readonly name: string;
  build(workload: Workload): Command;
  /** Throws away everything the peer has cached. */
  clear(): void;
}

const args = process.argv.slice(2);
const quick = args.includes('--quick');
const jsonAt = args.indexOf('--json');
const rounds = quick ? 3 : 5;
const repo = join(import.meta.dirname, '..');
const root = mkdtempSync(join(tmpdir(), 'varve-bench-'));

function tool(name: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${name}`]).status === 0;
}

function must(argv: readonly string[], env: Readonly<Record<string, string>> = {}): void {
  const [command = '', ...rest] = argv;
  const run = spawnSync(command, rest, { encoding: 'utf8', env: { ...process.env, ...env } });
  if (run.status !== 0) throw new Error(`${argv.join(' ')}: exit ${run.status}\n${run.stderr}`);
}

/** An OCI layout `base` with one static busybox, made by Varve itself and read by every peer. */
function makeBase(): string {
  const dir = join(root, 'base');
  mkdirSync(dir, { recursive: true });
  copyFileSync('/bin/busybox', join(dir, 'busybox'));
  const applets = ['sh', 'echo', 'cat', 'seq', 'mkdir', 'chmod', 'chown', 'ls', 'true', 'rm'];
  writeFileSync(
    join(dir, 'Dockerfile'),
    ['FROM scratch', ...applets.map((a) => `COPY busybox /bin/${a}`), 'CMD ["/bin/sh"]', ''].join(
      '\n',
    ),
  );
  const layout = join(root, 'base-layout');
  must(
    [
      join(repo, 'bin/varve'),
      'build',
      '--progress=plain',
      '-t',
      'base:latest',
      '-o',
      `type=oci,dest=${layout},tar=false`,
      dir,
    ],
    {
      VARVE_ROOT: join(root, 'base-store'),
    },
  );
  return layout;
}

function varve(layout: string): Peer {
  const store = join(root, 'varve-store');
  return {
    name: 'varve',
    build: (w) => ({
      argv: [
        join(repo, 'bin/varve'),
        'build',
        '--progress=plain',
        '--build-context',
        `base=oci-layout://${layout}:latest`,
        '-t',
        'bench:latest',
        w.context,
      ],
      env: { VARVE_ROOT: store },
    }),
    clear: () => rmSync(store, { recursive: true, force: true }),
  };
}

function buildah(layout: string): Peer {
  const storage = [
    '--root',
    join(root, 'buildah/root'),
    '--runroot',
    join(root, 'buildah/run'),
    '--storage-driver',
    'overlay',
  ];
  const load = (): void => {
    must([
      'skopeo',
      'copy',
      '-q',
      `oci:${layout}:latest`,
      `containers-storage:[overlay@${join(root, 'buildah/root')}+${join(root, 'buildah/run')}]localhost/base:latest`,
    ]);
  };
  load();
  return {
    name: 'buildah',
    build: (w) => ({
      argv: [
        'buildah',
        ...storage,
        'build',
        '--layers',
        '--jobs',
        '2',
        '--isolation',
        'oci',
        '--runtime',
        'runc',
        '--pull-never',
        '-t',
        'bench',
        w.context,
      ],
    }),
    clear: () => {
      spawnSync('buildah', [...storage, 'rmi', '-a', '-f']);
      load();
    },
  };
}

interface Row {
  readonly workload: string;
  readonly state: string;
  readonly peer: string;
  readonly samples: readonly Sample[];
}

function run(workload: Workload, peers: readonly Peer[]): Row[] {
  const rows = new Map<string, Sample[]>();
  const add = (state: string, peer: Peer, sample: Sample): void => {
    const key = `${state}\0${peer.name}`;
    rows.set(key, [...(rows.get(key) ?? []), sample]);
  };
  const cold = quick ? 1 : 3;
  for (let round = 0; round < cold; round++) {
    for (const peer of peers) {
      peer.clear();
      add('cold', peer, measure(peer.build(workload)));
    }
  }
  for (let round = 0; round < rounds; round++) {
    for (const peer of peers) add('no-op', peer, measure(peer.build(workload)));
  }
  for (let round = 0; round < rounds && workload.change !== undefined; round++) {
    workload.change(round);
    for (const peer of peers) add('one-file', peer, measure(peer.build(workload)));
  }
  return [...rows].map(([key, samples]) => {
    const [state = '', peer = ''] = key.split('\0');
    return { workload: workload.name, state, peer, samples };
  });
}

function report(workload: Workload, rows: readonly Row[]): void {
  console.log(`\n${workload.name}: ${workload.what}`);
  for (const row of rows) {
    const base = rows.find((r) => r.state === row.state && r.peer !== 'varve');
    const seconds = median(row.samples.map((s) => s.seconds));
    const ratio =
      row.peer === 'varve' && base !== undefined
        ? `  ${(seconds / median(base.samples.map((s) => s.seconds))).toFixed(3)} of ${base.peer}`
        : '';
    const peak = Math.max(...row.samples.map((s) => s.peakMiB));
    console.log(
      `  ${row.state.padEnd(9)} ${row.peer.padEnd(8)} ${spread(row.samples.map((s) => s.seconds)).padEnd(24)} s  cpu ${median(row.samples.map((s) => s.cpuSeconds)).toFixed(2)} s  peak ${peak.toFixed(0)} MiB${ratio}`,
    );
    if (row.state === 'cold' && workload.runSteps > 1) {
      console.log(
        `            ${row.peer.padEnd(8)} ${((seconds * 1000) / workload.runSteps).toFixed(0)} ms a RUN step (whole build / steps)`,
      );
    }
  }
}

try {
  if (!tool('time')) throw new Error('GNU time is missing: apt-get install time');
  const layout = makeBase();
  const peers = [varve(layout), ...(tool('buildah') && tool('skopeo') ? [buildah(layout)] : [])];
  if (peers.length === 1)
    console.log('buildah or skopeo is not installed: no peer to compare with');
  const make: readonly MakeWorkload[] = [
    service,
    stages,
    steps,
    files(quick ? 10_000 : 100_000),
    large(quick ? 512 : 2048),
  ];
  const all: Row[] = [];
  for (const one of make) {
    const workload = one(root);
    const rows = run(workload, peers);
    report(workload, rows);
    all.push(...rows);
    rmSync(workload.context, { recursive: true, force: true });
  }
  const jsonFile = jsonAt === -1 ? undefined : args[jsonAt + 1];
  if (jsonFile !== undefined)
    writeFileSync(jsonFile, `${JSON.stringify({ version: 1, quick, rows: all }, undefined, 2)}\n`);
} finally {
  rmSync(root, { recursive: true, force: true });
}
