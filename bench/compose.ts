/**
 * `node bench/compose.ts [--rounds N] [--packages DIR]`: a minimal disk of Debian 12 from this machine's apt sources, made
 * from nothing (`--clean`), again without a change, and with one package, file, user or argument of the kernel more. Says
 * CPU seconds, wall time, peak memory and the ratio to the clean build, and whether the grown disk is that of a clean build.
 * Works on a fresh ext4. `--packages` keeps what is downloaded; the first build, which downloads, is not counted. Needs root.
 */
import { createHash } from 'node:crypto';
import { createReadStream, mkdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { makeDisk } from './disk.ts';
import { measure, median, type Sample } from './measure.ts';

const args = process.argv.slice(2);
const option = (name: string): string | undefined =>
  args.includes(name) ? args[args.indexOf(name) + 1] : undefined;

/** Small, and without dependencies that the disk lacks. */
const MORE = ['tree', 'bc', 'lsof', 'unzip', 'pv', 'sl', 'figlet', 'dos2unix', 'units'];
const rounds = Math.min(MORE.length, Number(option('--rounds') ?? '3'));
const place = makeDisk(30);
const world = place.root;
const packages = option('--packages') ?? join(world, 'packages');
const varve = join(import.meta.dirname, '../bin/varve');
const disk = join(world, 'disk.img');

interface Changes {
  readonly more?: string;
  readonly text?: string;
  readonly user?: string;
  readonly argument?: string;
}

async function compose(changes: Changes, ...flags: readonly string[]): Promise<Sample> {
  const { more = '', text = 'first', user = '', argument = 'quiet' } = changes;
  writeFileSync(join(world, 'motd'), `${text}\n`);
  writeFileSync(
    join(world, 'os.yml'),
    `image: {name: bench, version: 1.0.0}
target: {os: debian, dist: debian12, arch: x86_64, imageType: raw}
systemConfig:
  hostname: bench
  packages: [openssh-server${more === '' ? '' : `, ${more}`}]
  kernel: {cmdline: console=ttyS0 ${argument}}
  users: [{name: ops}${user === '' ? '' : `, {name: ${user}}`}]
  additionalFiles: [{local: motd, final: /etc/motd}]
`,
  );
  const argv = ['compose', join(world, 'os.yml'), '-o', `type=raw,dest=${disk}`, ...flags];
  const env = { VARVE_ROOT: join(world, 'store'), VARVE_PACKAGES: packages };
  return await measure([{ argv: [varve, ...argv], env }]);
}

async function digest(): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(disk)) hash.update(chunk as Uint8Array);
  return hash.digest('hex');
}

const results = new Map<string, Sample[]>();
async function take(
  what: string,
  changes: (round: number) => Changes,
  ...flags: readonly string[]
): Promise<void> {
  const samples: Sample[] = [];
  for (let round = 0; round < rounds; round++)
    samples.push(await compose(changes(round), ...flags));
  results.set(what, samples);
}

mkdirSync(packages, { recursive: true });
try {
  await compose({});
  const before = loadavg();
  await take('nothing', () => ({}));
  await take('a kernel argument', (round) => ({ argument: `loglevel=${round}` }));
  await take('a file', (round) => ({ text: `text ${round}` }));
  await take('a user', (round) => ({ user: `user${round}` }));
  await take('a package', (round) => ({ more: MORE[round] ?? '' }));
  const grown = await digest();
  const last = MORE[rounds - 1] ?? '';
  results.set('clean', [await compose({ more: last }, '--clean')]);
  const isSame = (await digest()) === grown;
  results.set('clean', [...(results.get('clean') ?? []), await compose({ more: last }, '--clean')]);
  const cpu = (samples: readonly Sample[]): number => median(samples.map((s) => s.cpuSeconds));
  const clean = cpu(results.get('clean') ?? []);
  const load = (all: readonly number[]): string => all.map((n) => n.toFixed(1)).join(' ');
  console.log(
    `${place.what}; load before ${load(before)}, after ${load(loadavg())}; ${rounds} rounds, medians`,
  );
  console.log('| changed | CPU s | wall s | of clean, CPU | peak MiB |\n|---|---|---|---|---|');
  for (const [what, samples] of results) {
    const wall = median(samples.map((s) => s.seconds));
    const peak = Math.max(...samples.map((s) => s.peakMiB));
    console.log(
      `| ${what} | ${cpu(samples).toFixed(2)} | ${wall.toFixed(1)} | ${((100 * cpu(samples)) / clean).toFixed(1)} % | ${peak.toFixed(0)} |`,
    );
  }
  console.log(
    `one package more (${last}): ${isSame ? 'the bytes of' : 'NOT the bytes of'} a clean build`,
  );
  if (!isSame) process.exitCode = 1;
} finally {
  place[Symbol.dispose]();
}
