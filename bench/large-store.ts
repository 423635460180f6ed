/**
 * Fills a store with a hundred thousand entries (rows and small files), and measures what `varve cache df`, `ls` and
 * `gc --dry-run` need for it: `node bench/large-store.ts [entries]`.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

const VARVE = join(import.meta.dirname, '../bin/varve');
const total = Number(process.argv[2] ?? 100_000);
const root = mkdtempSync(join(tmpdir(), 'varve-large-'));
const env = { PATH: process.env['PATH'] ?? '', HOME: root, VARVE_ROOT: join(root, 'store') };
const hex = (text: string): string => createHash('sha256').update(text).digest('hex');

function write(path: string, data: string): void {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, data);
}

/** A fifth each of layers with a blob, records, blobs, packages; the rest logs, cache mounts and images. */
function fill(store: string): void {
  const db = new DatabaseSync(join(store, 'state.db'));
  const fifth = Math.floor(total / 5);
  const now = Date.now();
  const layer = db.prepare('INSERT INTO layer VALUES (?, ?, ?, ?, NULL, ?, ?)');
  const form = db.prepare('INSERT INTO layer_blob VALUES (?, ?, ?)');
  const chain = db.prepare('INSERT INTO chain VALUES (?, ?, ?, ?)');
  const record = db.prepare('INSERT INTO record VALUES (?, ?, 1, ?)');
  const result = db.prepare('INSERT INTO result VALUES (?, ?, ?, ?, ?, ?, NULL)');
  const step = db.prepare('INSERT INTO step VALUES (?, ?, ?, ?)');
  const build = db.prepare("INSERT INTO build VALUES (?, 'app', '{}', ?, ?, NULL, NULL, NULL)");
  const image = db.prepare('INSERT INTO image VALUES (?, ?, ?, ?)');
  db.exec('BEGIN');
  for (let i = 0; i < fifth; i++) {
    const id = `new:${hex(`layer ${i}`).slice(0, 32)}`;
    const at = now - (i % 5000) * 60_000;
    const dir = join(store, 'snapshots/layers', hex(id).slice(0, 24));
    write(join(dir, 'fs/f'), `layer ${i}\n`.repeat(1 + (i % 50)));
    write(join(dir, 'meta.json'), JSON.stringify({ id, boot: 'x' }));
    write(join(dir, 'synced'), '');
    const bytes = `blob ${i}\n`.repeat(1 + (i % 30));
    const digest = hex(bytes);
    write(join(store, 'content/blobs/sha256', digest), bytes);
    const descriptor = { mediaType: 'application/vnd.oci.image.layer.v1.tar', size: bytes.length };
    const blob = JSON.stringify({ ...descriptor, digest: `sha256:${digest}` });
    layer.run(id, `sha256:${hex(`diff ${i}`)}`, 4096, blob, at, at);
    form.run(id, `sha256:${digest}`, blob);
    chain.run(i + 1, i % 10 === 0 ? 0 : i, id, 1 + (i % 10));
    const key = `sha256:${hex(`record ${i}`)}`;
    record.run(i + 1, key, at);
    result.run(i + 1, i + 1, at, 1000 + (i % 100) * 50, at, i % 7);
    if (i % 20 === 0) build.run(`build-${i}`, at, at + 1000);
    const row = {
      vertex: `sha256:${hex(`vertex ${i}`)}`,
      name: `RUN make part-${i}`,
      state: 'done',
      startedAt: at,
      finishedAt: at + 900,
      decision: { at, key, outcome: 'run' },
    };
    step.run(`build-${i - (i % 20)}`, row.vertex, i % 20, JSON.stringify(row));
    const package_ = hex(`package ${i}`);
    write(join(store, 'packages/pool', package_.slice(0, 2), package_), `package ${i}\n`);
    if (i % 2 === 0) write(join(store, 'logs', `${hex(`log ${i}`)}.log`), `log ${i}\n`);
  }
  for (let i = 0; i < fifth / 100; i++) {
    const layers = Array.from({ length: 10 }, (_, n) => {
      const bytes = `blob ${i * 10 + n}\n`.repeat(1 + ((i * 10 + n) % 30));
      return {
        mediaType: 'application/vnd.oci.image.layer.v1.tar',
        digest: `sha256:${hex(bytes)}`,
        size: bytes.length,
      };
    });
    const diffIds = layers.map((_, n) => `sha256:${hex(`diff ${i * 10 + n}`)}`);
    const put = (mediaType: string, value: unknown): { readonly digest: string } => {
      const text = JSON.stringify(value);
      write(join(store, 'content/blobs/sha256', hex(text)), text);
      return { mediaType, digest: `sha256:${hex(text)}`, size: text.length } as { digest: string };
    };
    const config = put('application/vnd.oci.image.config.v1+json', {
      architecture: 'amd64',
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: diffIds },
    });
    const mediaType = 'application/vnd.oci.image.manifest.v1+json';
    const target = put(mediaType, { schemaVersion: 2, mediaType, config, layers });
    image.run(`docker.io/library/app:${i}`, target.digest, JSON.stringify(target), now);
  }
  db.exec('COMMIT');
  db.close();
}

interface Measured {
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly peakMiB: number;
  readonly stdout: string;
}

/** Runs the program under GNU time. */
async function measure(args: readonly string[]): Promise<Measured> {
  const report = join(root, 'time');
  const began = performance.now();
  const child = spawn('time', ['-f', '%U %S %M', '-o', report, VARVE, ...args], { env });
  let stdout = '';
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
  let stderr = '';
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  if (code !== 0) throw new Error(`${args.join(' ')}: exit ${String(code)}\n${stderr}`);
  const wallMs = performance.now() - began;
  const [user = 0, system = 0, peak = 0] = spawnSync('cat', [report], { encoding: 'utf8' })
    .stdout.trim()
    .split(' ')
    .map(Number);
  return { wallMs, cpuMs: (user + system) * 1000, peakMiB: peak / 1024, stdout };
}

try {
  spawnSync(VARVE, ['image', 'ls'], { env });
  fill(env.VARVE_ROOT);
  const rows: readonly (readonly string[])[] = [
    ['cache', 'df'],
    ['cache', 'df'],
    ['cache', 'ls', '--json'],
    ['cache', 'ls'],
    ['cache', 'gc', '--dry-run', '--max-used-space', '100MB'],
    ['cache', 'why', 'image:docker.io/library/app:1'],
  ];
  for (const args of rows) {
    const { wallMs, cpuMs, peakMiB, stdout } = await measure(args);
    const lines = stdout.split('\n').length - 1;
    process.stdout.write(
      `${args.join(' ')}: ${(cpuMs / 1000).toFixed(2)} s CPU, ${(wallMs / 1000).toFixed(2)} s, peak ${peakMiB.toFixed(0)} MiB, ${lines} lines\n`,
    );
  }
} finally {
  rmSync(root, { recursive: true, force: true });
}
