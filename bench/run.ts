/**
 * `npm run bench [-- --quick] [--json FILE] [--only A,E] [--peers varve,docker] [--base busybox|debian]`: builds each workload with Varve and every
 * other builder that is there, interleaved in one run, and prints medians, spread and ratios. Every case names its cache
 * state: `cold` (empty store), `no-op` (nothing changed), `one-file` (one file changed), `checkout` (every file has another
 * time), `8-at-once` (eight contexts that differ, built together). The base is Debian
 * with Python (`base.yml`), with `--quick` a static busybox.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, createReadStream, lstatSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { deflateSync, zstdCompressSync } from 'node:zlib';
import { type Disk, makeDisk } from './disk.ts';
import { measure, median, type Sample, spread } from './measure.ts';
import type { Peer } from './peer.ts';
import { makeBase, OURS, startPeers } from './peers.ts';
import {
  files,
  large,
  type MakeWorkload,
  randomBytes,
  service,
  stages,
  steps,
  unordered,
  type Workload,
} from './workloads.ts';

const args = process.argv.slice(2);
const option = (name: string): string | undefined =>
  args.includes(name) ? args[args.indexOf(name) + 1] : undefined;
const quick = args.includes('--quick');
const rounds = quick ? 3 : 5;
const coldRounds = quick ? 1 : 3;
const only = option('--only')?.split(',');
const wanted = option('--peers')?.split(',');
const base = option('--base') ?? (quick ? 'busybox' : 'debian');

/** Load average when a state's first sample was taken: seconds of a busy machine are no seconds. */
interface Row {
  readonly workload: string;
  readonly state: string;
  readonly peer: string;
  readonly load: number;
  readonly samples: Sample[];
}

interface Bench {
  readonly disk: Disk;
  readonly peers: readonly Peer[];
}

async function run(workload: Workload, { disk, peers }: Bench): Promise<Row[]> {
  const rows: Row[] = [];
  const take = async (state: string, peer: Peer): Promise<void> => {
    const sample = await measure([peer.build(workload.context, 'bench')], disk.written);
    const known = rows.find((row) => row.state === state && row.peer === peer.name);
    if (known !== undefined) known.samples.push(sample);
    else
      rows.push({
        workload: workload.name,
        state,
        peer: peer.name,
        load: loadavg()[0] ?? 0,
        samples: [sample],
      });
  };
  for (let round = 0; round < coldRounds; round++)
    for (const peer of peers) {
      await peer.clear();
      await take('cold', peer);
    }
  for (let round = 0; round < rounds; round++) for (const peer of peers) await take('no-op', peer);
  for (let round = 0; round < rounds && workload.change !== undefined; round++) {
    workload.change(round);
    for (const peer of peers) await take('one-file', peer);
  }
  for (let round = 0; round < rounds && workload.touch !== undefined; round++) {
    workload.touch(round);
    for (const peer of peers) await take('checkout', peer);
  }
  return rows;
}

/** Eight builds of contexts that differ, started together, from a store that knows the base only. */
async function together(root: string, workload: Workload, { disk, peers }: Bench): Promise<Row[]> {
  const contexts = Array.from({ length: 8 }, (_, i) => join(root, `together-${i}`));
  const rows: Row[] = [];
  for (const peer of peers) {
    for (const [i, context] of contexts.entries()) {
      cpSync(workload.context, context, { recursive: true, preserveTimestamps: true });
      writeFileSync(join(context, 's3.txt'), `context ${i}\n`);
    }
    await peer.clear();
    const sample = await measure(
      contexts.map((context, i) => peer.build(context, `bench${i}`)),
      disk.written,
    );
    const load = loadavg()[0] ?? 0;
    rows.push({
      workload: workload.name,
      state: '8-at-once',
      peer: peer.name,
      load,
      samples: [sample],
    });
    for (const context of contexts) rmSync(context, { recursive: true, force: true });
  }
  return rows;
}

/** What the machine alone takes for the bytes of a context, at the rates of this run. */
function leastTimes(context: string, rates: Readonly<Record<string, number>>): string {
  const names = readdirSync(context, { recursive: true, encoding: 'utf8' });
  const bytes = names.reduce((sum, name) => sum + lstatSync(join(context, name)).size, 0);
  const mib = bytes / 2 ** 20;
  const times = Object.entries(rates).map(([what, rate]) => `${what} ${(mib / rate).toFixed(2)} s`);
  return `${mib.toFixed(0)} MiB in ${names.length} files; alone, on one core: ${times.join(', ')}`;
}

function report(
  workload: Workload,
  rows: readonly Row[],
  rates: Readonly<Record<string, number>>,
): void {
  console.log(`\n${workload.name}: ${workload.what}`);
  console.log(`  ${leastTimes(workload.context, rates)}`);
  const seconds = (row: Row): number => median(row.samples.map((s) => s.seconds));
  for (const row of rows) {
    const of = (name: string): string => {
      const ours = rows.find((r) => r.state === row.state && r.peer === name);
      return ours === undefined
        ? ''
        : `  ${name}: ${(seconds(ours) / seconds(row)).toFixed(2)} of it`;
    };
    const ratio = OURS.some((our) => our === row.peer) ? '' : OURS.map(of).join('');
    const peak = Math.max(...row.samples.map((s) => s.peakMiB));
    const cpu = median(row.samples.map((s) => s.cpuSeconds)).toFixed(2);
    const disk = row.samples.map((s) => s.writtenMiB).filter((n) => n !== undefined);
    const wrote = disk.length === 0 ? '' : `  wrote ${median(disk).toFixed(0)} MiB`;
    console.log(
      `  ${row.state.padEnd(9)} ${row.peer.padEnd(8)} ${spread(row.samples.map((s) => s.seconds)).padEnd(26)} s  cpu ${cpu} s  peak ${peak.toFixed(0)} MiB${wrote}  load ${row.load.toFixed(1)}${ratio}`,
    );
    if (row.state === 'cold' && workload.runSteps > 8)
      console.log(
        `            ${row.peer.padEnd(8)} ${((seconds(row) * 1000) / workload.runSteps).toFixed(0)} ms a RUN step (whole build / steps)`,
      );
  }
}

/** What the machine can do by itself, on one core: MiB a second. */
async function limits(root: string): Promise<Record<string, number>> {
  const mib = 64;
  const data = randomBytes(mib << 20, 5);
  const rate = (work: () => unknown): number => {
    const started = performance.now();
    work();
    return Math.round(mib / ((performance.now() - started) / 1000));
  };
  const file = join(root, 'limit');
  const result = {
    sha256: rate(() => createHash('sha256').update(data).digest()),
    gzip: rate(() => deflateSync(data)),
    zstd: rate(() => zstdCompressSync(data)),
    writeAndSync: rate(() => {
      writeFileSync(file, data, { flush: true });
    }),
  };
  const started = performance.now();
  await finished(createReadStream(file, { highWaterMark: 1 << 20 }).resume());
  const read = Math.round(mib / ((performance.now() - started) / 1000));
  rmSync(file);
  return { ...result, readFromCache: read };
}

async function main(): Promise<void> {
  if (spawnSync('sh', ['-c', 'command -v time']).status !== 0)
    throw new Error('GNU time is missing: apt-get install time');
  using disk = makeDisk(quick ? 30 : 80);
  const layout = makeBase(disk.root, base === 'debian' ? 'debian' : 'busybox');
  const peers = await startPeers(disk.root, layout, (name) => wanted?.includes(name) ?? true);
  try {
    const machine = `${availableParallelism()} processors, ${disk.what}, load ${loadavg()[0]?.toFixed(1) ?? ''}`;
    console.log(
      `${machine}, base ${base}; ${peers.map((p) => `${p.name}: ${p.version}`).join('; ')}`,
    );
    const limit = await limits(disk.root);
    console.log(`MiB a second, one core, random bytes: ${JSON.stringify(limit)}`);
    const all: Row[] = [];
    const make: Readonly<Record<string, MakeWorkload>> = {
      A: unordered(quick ? 64 : 512),
      B: service,
      C: stages,
      D: steps,
      E: files(quick ? 10_000 : 100_000),
      F: large(quick ? 256 : 2048),
    };
    for (const [letter, one] of Object.entries(make)) {
      if (only?.includes(letter) === false) continue;
      const workload = one(disk.root);
      const rows = await run(workload, { disk, peers });
      if (letter === 'C') rows.push(...(await together(disk.root, workload, { disk, peers })));
      report(workload, rows, limit);
      all.push(...rows);
      rmSync(workload.context, { recursive: true, force: true });
    }
    const file = option('--json');
    const result = { version: 2, quick, machine, limit, rows: all };
    if (file !== undefined) writeFileSync(file, `${JSON.stringify(result, undefined, 2)}\n`);
  } finally {
    for (const peer of peers) await peer.stop();
  }
}

await main();
