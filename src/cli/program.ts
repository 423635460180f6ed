import { Command, CommanderError, Option } from 'commander';
import { failure } from '../base/index.ts';
import { addCache } from './commands/cache.ts';
import { fail, type Io } from './io.ts';
import { removeLeftovers } from './leftovers.ts';
import { addCompose } from './program-compose.ts';
import { addBuildLimits, addLimits, collect, type Run, wrongEnvironment } from './program-run.ts';
import { addHistory, addImage, addReport, addWhy } from './program-show.ts';
import { addProject } from './project-commands.ts';

/** Runs the command line; returns the exit code. Command modules are loaded when their command is run. */
export async function runProgram(argv: readonly string[], io: Io): Promise<number> {
  let exit = 0;
  const program = createProgram(io, (code) => {
    exit = code;
  });
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return exit;
  } catch (e) {
    if (!(e instanceof CommanderError)) throw e;
    // Help and version were printed on standard output.
    if (e.exitCode === 0) return 0;
    return fail(io, usageFailure(e));
  }
}

/** `error: unknown option '--x'` and `(Did you mean --y?)` in the shape of the other failures. */
function usageFailure(e: CommanderError): ReturnType<typeof failure> {
  if (e.code === 'commander.help')
    return failure('CL001', 2, 'no command was given', { help: 'see varve --help' });
  const [first = '', hint] = e.message.replace(/^error: /, '').split('\n');
  const guess = hint === undefined ? undefined : /\(Did you mean (.*)\?\)/.exec(hint)?.[1];
  const message = first.replaceAll("'", '"');
  return failure('CL001', 2, message, {
    help: guess === undefined ? 'see varve --help' : `did you mean "${guess}"?`,
  });
}

type SetExit = (code: number) => void;

function createProgram(io: Io, setExit: SetExit): Command {
  const program = new Command('varve')
    .description('Builds container and OS images from layers, and explains its cache')
    .version('0.1.0', '--version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .showHelpAfterError(false)
    // Commands see their arguments in the order in which they were given.
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.out(text),
      // Errors are printed once, by runProgram.
      writeErr: () => undefined,
    });
  const run =
    <A extends readonly unknown[]>(load: () => Promise<(io: Io, ...args: A) => Promise<number>>) =>
    async (...args: A): Promise<void> => {
      const refused = await wrongEnvironment(io.env);
      if (refused !== undefined) {
        setExit(fail(io, refused));
        return;
      }
      await removeLeftovers(io);
      const command = await load();
      setExit(await command(io, ...args));
    };
  addBuild(program, run);
  addProject(program, run, { collect, progress: progressOption });
  addCompose(program, run, progressOption);
  addImage(program, run);
  addHistory(program, run);
  addWhy(program, run);
  addLint(program, run);
  addOptimize(program, run);
  addReport(program, run);
  addCache(program, run);
  addDoctor(program, run);
  program
    .command('tidy')
    .description('remove what killed commands left behind (every command does so first)')
    .action(run<[]>(() => Promise.resolve(() => Promise.resolve(0))));
  program
    .command('completion <shell>')
    .description('print a completion script for bash, zsh or fish')
    .action(
      run<[string]>(async () => {
        const { completionCommand } = await import('./commands/completion.ts');
        return (to, shell) => completionCommand(to, shell, outline(program));
      }),
    );
  return program;
}

function addBuild(program: Command, run: Run): void {
  const build = program
    .command('build [context]')
    .description('build an image from a Dockerfile')
    .option(
      '-f, --file <path>',
      'Dockerfile (default: <context>/Dockerfile); - reads it from standard input',
    )
    .option('-t, --tag <name>', 'name the image', collect)
    .option('--target <stage>', 'build this stage')
    .option(
      '--build-arg <name=value>',
      'set an ARG; without a value it is taken from the environment',
      collect,
    )
    .option(
      '--build-context <name=where>',
      'a directory, docker-image://, oci-layout:// or a URL under a name',
      collect,
    )
    .option(
      '--platform <platforms>',
      'build for these platforms, e.g. linux/amd64,linux/arm64',
      collect,
    )
    .option('-o, --output <spec>', 'type=oci|docker|tar|local|image|registry,dest=…', collect)
    .option('--push', 'push the image to its registry')
    .option('--load', 'load the image into the Docker engine')
    .option(
      '--cache-from <spec>',
      'use a cache: type=local,src=DIR or type=registry,ref=…',
      collect,
    )
    .option('--cache-to <spec>', 'keep the cache: type=local,dest=DIR, registry or inline', collect)
    .option('--no-cache', 'run every step')
    .addOption(noCacheFilter())
    .option('--pull', 'ask registries for base images even where they are known')
    .option('--secret <spec>', 'id=NAME,src=FILE or id=NAME,env=VARIABLE', collect)
    .option('--ssh <spec>', 'default, or ID=SOCKET|KEY', collect)
    .option('--label <name=value>', 'add a label to the image', collect)
    .option(
      '--annotation <spec>',
      'add an annotation to the image: [manifest|index|…:]KEY=VALUE',
      collect,
    )
    .option('--attest <spec>', 'type=provenance or type=sbom, with parameters', collect)
    .option('--provenance <spec>', 'true, false or mode=min|max: say how the image was made')
    .option('--sbom <spec>', 'true or false: list the packages in the image')
    .option('--add-host <host:ip>', 'add a line to /etc/hosts of steps', collect)
    .option('--network <mode>', 'network of steps: default, none or host')
    .option('--allow <entitlement>', 'network.host or security.insecure', collect)
    .option('--ulimit <name=soft:hard>', 'limit of steps', collect)
    .option('--shm-size <size>', 'size of /dev/shm in steps')
    .option('--cgroup-parent <path>', 'cgroup below which steps run')
    .option('--metadata-file <path>', 'write what was built as JSON')
    .option('--iidfile <path>', 'write the image ID')
    .option('--plan', 'say what would run and what is cached, and why; run nothing')
    .option('--check', 'check the Dockerfile and build nothing')
    .option(
      '--call <method>',
      'ask the Dockerfile: check, outline or targets, with ,format=json; build is the default',
    )
    .option('--json', 'print events as JSON lines on standard output')
    .option('-q, --quiet', 'print the image ID only')
    .addOption(progressOption());
  addBuildLimits(addLimits(build));
  build.action(
    run<[string | undefined, Record<string, unknown>]>(
      async () => (await import('./commands/build.ts')).buildCommand,
    ),
  );
}

/** `--progress`, which every command that builds has. */
function progressOption(): Option {
  const modes = ['auto', 'tty', 'plain', 'rawjson', 'quiet'];
  return new Option('--progress <mode>', 'how progress is shown').choices(modes);
}

function addLint(program: Command, run: Run): void {
  program
    .command('lint [context]')
    .description(
      'say what makes builds of a Dockerfile slow, large or unsafe, and what it has cost',
    )
    .option('-f, --file <path>', 'Dockerfile (default: <context>/Dockerfile)')
    .option('--target <stage>', 'the stage that is built')
    .option('--build-arg <name=value>', 'set an ARG (for the checks of BuildKit)', collect)
    .option('--buildkit', "also run BuildKit's own checks")
    .option('--fail-on <severity>', 'error, warning, info or never (default: warning)')
    .option('--json', 'print JSON')
    .option('--sarif', 'print a SARIF 2.1.0 log')
    .action(
      run<[string | undefined, Record<string, unknown>]>(
        async () => (await import('./commands/lint.ts')).lintCommand,
      ),
    );
}

function addOptimize(program: Command, run: Run): void {
  program
    .command('optimize [context]')
    .description(
      'rewrite a Dockerfile, prove that its image stays the same, and measure what it saves',
    )
    .option('-f, --file <path>', 'Dockerfile (default: <context>/Dockerfile)')
    .option('--target <stage>', 'the stage that is built')
    .option('--build-arg <name=value>', 'set an ARG', collect)
    .option('--build-context <name=where>', 'a directory or image under a name', collect)
    .option('--secret <spec>', 'id=NAME,src=FILE or id=NAME,env=VARIABLE', collect)
    .option('--network <mode>', 'network of steps: default, none or host')
    .option('--changing <variable>', 'an ARG or ENV that changes with every build', collect)
    .option('--without <kind>', 'do not make rewrites of this kind', collect)
    .option('--allow-removals', 'make rewrites that take files out of the image, and list them')
    .option('--no-measure', 'prove only; do not measure scenarios')
    .option('--what-if <commits>', 'what the last so many commits would have cost before and after')
    .option('--price-per-hour <number>', 'price of an hour of building, for --what-if')
    .option('--price-per-gb <number>', 'price of a gigabyte of cache a month, for --what-if')
    .option('--write', 'change the Dockerfile')
    .option('--json', 'print JSON')
    .action(
      run<[string | undefined, Record<string, unknown>]>(
        async () => (await import('./commands/optimize.ts')).optimizeCommand,
      ),
    );
}

function addDoctor(program: Command, run: Run): void {
  program
    .command('doctor')
    .description('say what this machine lacks, and how to mend it')
    .option('--json', 'print JSON')
    .action(
      run<[Record<string, unknown>]>(
        async () => (await import('./commands/doctor.ts')).doctorCommand,
      ),
    );
}

/** Commands and options by name, for completion. */
export interface Outline {
  readonly name: string;
  readonly description: string;
  readonly options: readonly { readonly flags: readonly string[]; readonly description: string }[];
  readonly commands: readonly Outline[];
}

function outline(command: Command): Outline {
  return {
    name: command.name(),
    description: command.description(),
    options: command.options.map((o) => ({
      flags: [o.short, o.long].filter((f) => f !== undefined),
      description: o.description,
    })),
    commands: command.commands.map(outline),
  };
}

/** `--no-cache-filter` takes values and negates nothing, whatever its name looks like. */
function noCacheFilter(): Option {
  const option = new Option('--no-cache-filter <stages>', 'run every step of these stages');
  option.negate = false;
  return option.argParser(collect);
}
