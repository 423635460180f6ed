import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { addTravel } from './cache-travel.ts';

type Run = <A extends readonly unknown[]>(
  load: () => Promise<(io: Io, ...args: A) => Promise<number>>,
) => (...args: A) => Promise<void>;

type Options = Record<string, unknown>;

const JSON_FLAG = ['--json', 'print JSON'] as const;

const collect = (value: string, all: readonly string[] | undefined): readonly string[] => [
  ...(all ?? []),
  value,
];

/** `varve cache`: what the store holds, and how it is trimmed. Each subcommand is loaded when it is run. */
export function addCache(program: Command, run: Run): void {
  const cache = program.command('cache').description('what the store holds, and how it is trimmed');
  addShowing(cache, run);
  addTrimming(cache, run);
  addVerify(cache, run);
  addPins(cache, run);
  addTravel(cache, run);
}

const show = () => import('./cache-show.ts');
/** A directory that `compose --cache-dir` keeps packages in belongs to no store: who wants it seen names it. */
const CACHE_DIR = [
  '--cache-dir <dir>',
  'a directory of packages as well (default: VARVE_PACKAGES)',
] as const;
const FILTER = [
  '--filter <filter>',
  'kind=…, unused-for=7d, size>10MB, build=…, label=…',
  collect,
] as const;

function addShowing(cache: Command, run: Run): void {
  cache
    .command('df')
    .description('disk space by kind')
    .option('-v, --verbose', 'list every entry too')
    .option(...CACHE_DIR)
    .option(...JSON_FLAG)
    .action(run<[Options]>(async () => (await import('./cache-df.ts')).cacheDf));
  cache
    .command('ls')
    .description('list entries')
    .option(...FILTER)
    .option('--sort <order>', 'size, used, created, uses, cost, kind or name', 'size')
    .option(...CACHE_DIR)
    .option('-q, --quiet', 'print ids only')
    .option(...JSON_FLAG)
    .action(run<[Options]>(async () => (await show()).cacheLs));
  cache
    .command('tree [entry]')
    .description('what stands on what')
    .option(...CACHE_DIR)
    .option(...JSON_FLAG)
    .action(
      run<[string | undefined, Options]>(async () => (await import('./cache-tree.ts')).cacheTree),
    );
  cache
    .command('why <entry>')
    .description('why an entry is here, what keeps it, and what losing it costs')
    .option(...CACHE_DIR)
    .option(...JSON_FLAG)
    .action(run<[string, Options]>(async () => (await show()).cacheWhy));
}

function addTrimming(cache: Command, run: Run): void {
  const load = () => import('./cache-gc.ts');
  const dry = ['--dry-run', 'say what would go and why, and remove nothing'] as const;
  const verbose = ['-v, --verbose', 'list what went'] as const;
  cache
    .command('gc')
    .description('apply the policy')
    .option('--preset <name>', 'default, none, ci or workstation')
    .option('--max-used-space <size>', 'the store is not larger than this (10GB, 20%)')
    .option('--reserved-space <size>', 'age and free space leave this much alone')
    .option('--min-free-space <size>', 'this much of the disk stays free')
    .option('--keep-duration <time>', 'what was not used for longer goes (7d, 36h)')
    .option(...CACHE_DIR)
    .option(...dry)
    .option(...verbose)
    .option(...JSON_FLAG)
    .action(run<[Options]>(async () => (await load()).cacheGc));
  cache
    .command('prune')
    .description('remove what nobody would miss; with --all whatever nothing holds')
    .option('-a, --all', 'cached steps, cache mounts and packages too')
    .option(...FILTER)
    .option('--keep-storage <size>', 'stop when the store is not larger than this')
    .option(...CACHE_DIR)
    .option('-f, --force', 'do not ask')
    .option(...dry)
    .option(...verbose)
    .option(...JSON_FLAG)
    .action(run<[Options]>(async () => (await load()).cachePrune));
}

function addVerify(cache: Command, run: Run): void {
  cache
    .command('verify')
    .description('compare everything in the store with what is promised of it')
    .option('--repair', 'move damaged files aside, and fetch again what a registry has')
    .option(...CACHE_DIR)
    .option(...JSON_FLAG)
    .action(run<[Options]>(async () => (await import('./cache-verify.ts')).cacheVerify));
}

function addPins(cache: Command, run: Run): void {
  const load = () => import('./cache-pin.ts');
  cache
    .command('pin [entry]')
    .description('keep an entry, an image with its cache, or what a build made; list the pins')
    .option('--reason <text>', 'why')
    .option('--for <time>', 'until so much later (30d)')
    .option(...JSON_FLAG)
    .action(run<[string | undefined, Options]>(async () => (await load()).cachePin));
  cache
    .command('unpin <entries...>')
    .description('take pins away')
    .action(run<[string[]]>(async () => (await load()).cacheUnpin));
}
