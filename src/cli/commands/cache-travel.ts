import { type Command, Option } from 'commander';
import type { Io } from '../io.ts';

type Run = <A extends readonly unknown[]>(
  load: () => Promise<(io: Io, ...args: A) => Promise<number>>,
) => (...args: A) => Promise<void>;

type Options = Record<string, unknown>;
type WithContext = [string | undefined, Options];

const collect = (value: string, all: readonly string[] | undefined): readonly string[] => [
  ...(all ?? []),
  value,
];

/** `varve cache export|import|warm`: the cache travels without a build. */
export function addTravel(cache: Command, run: Run): void {
  requestFlags(cache.command('export [context]'))
    .description('write cached steps to another place: all, or those of a build')
    .option('--to <spec>', 'where to: type=registry,ref=…, type=local,dest=DIR, …', collect)
    .option('--build <id>', 'the steps of a build of the history')
    .option('--mounts', 'cache mounts too')
    .addOption(progress())
    .action(run<WithContext>(async () => (await import('./cache-export.ts')).cacheExport));
  cache
    .command('import')
    .description('take over the keys of a cache, for all later builds')
    .option('--from <spec>', 'where from: type=registry,ref=…, type=local,src=DIR, …', collect)
    .option('--mounts', 'look for cache mounts there too')
    .option('--json', 'print JSON')
    .addOption(progress())
    .action(run<[Options]>(async () => (await import('./cache-import.ts')).cacheImport));
  requestFlags(cache.command('warm [context]'))
    .description('make this store ready for a build, and check that all of it is cached')
    .option('--cache-from <spec>', 'a cache to take keys and layers from', collect)
    .option('--json', 'print JSON')
    .addOption(progress())
    .action(run<WithContext>(async () => (await import('./cache-warm.ts')).cacheWarm));
}

/** What names a build; the flags of `varve build`. */
function requestFlags(command: Command): Command {
  return command
    .option('-f, --file <path>', 'Dockerfile (default: <context>/Dockerfile)')
    .option('--target <stage>', 'this stage')
    .option('--build-arg <name=value>', 'set an ARG', collect)
    .option('--build-context <name=where>', 'a named context', collect)
    .option('--platform <platforms>', 'for these platforms', collect)
    .option('--label <name=value>', 'add a label to the image', collect)
    .option('--add-host <host:ip>', 'add a line to /etc/hosts of steps', collect)
    .option('--network <mode>', 'network of steps: default, none or host')
    .option('--allow <entitlement>', 'network.host or security.insecure', collect)
    .option('--secret <spec>', 'id=NAME,src=FILE or id=NAME,env=VARIABLE', collect)
    .option('--ssh <spec>', 'default, or ID=SOCKET|KEY', collect);
}

function progress(): Option {
  const modes = ['auto', 'tty', 'plain', 'rawjson', 'quiet'];
  return new Option('--progress <mode>', 'how progress is shown').choices(modes);
}
