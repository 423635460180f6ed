import type { Command, Option } from 'commander';
import { addLimits, type Run } from './program-run.ts';

/** What options of all commands are made with. */
interface Shared {
  readonly collect: (value: string, all: readonly string[] | undefined) => readonly string[];
  readonly progress: () => Option;
}

/** Adds `varve bake` and `varve plan`. */
export function addProject(program: Command, run: Run, { collect, progress }: Shared): void {
  type Options = Record<string, unknown>;
  const load = async (): Promise<typeof import('./commands/bake.ts')> =>
    import('./commands/bake.ts');
  const file = 'varve.yml, docker-bake.json or compose.yaml (default: the one that is here)';
  const common = (command: Command): Command =>
    command
      .option('--platform <platforms>', 'build for these platforms', collect)
      .option('--pull', 'ask registries for base images even where they are known')
      .option('--json', 'print the report as JSON');
  addLimits(
    common(
      program
        .command('bake [targets...]')
        .description('build layers, images and targets of a project'),
    ),
  )
    .option('-f, --file <path>', `${file}; several bake files are laid over each other`, collect)
    .option('--set <override>', 'TARGET.KEY=VALUE of a target, over what the file says', collect)
    .option('--push', 'push images, and layers that were built')
    .option('--load', 'load images into the Docker engine')
    .option('-o, --output <spec>', 'type=oci|docker|tar|local|image|registry,dest=…', collect)
    .option('--cache-from <spec>', 'use a cache for the steps of layers', collect)
    .option('--no-cache', 'build every layer')
    .option('-j, --jobs <number>', 'layers and targets that are built at once')
    .option('--secret <spec>', 'id=NAME,src=FILE or id=NAME,env=VARIABLE', collect)
    .option('--ssh <spec>', 'default, or ID=SOCKET|KEY', collect)
    .option('--provenance <spec>', 'of every target: say how its image was made')
    .option('--sbom <spec>', 'of every target: list the packages in its image')
    .option('--print', 'print what would be built as JSON, and build nothing')
    .option('--summary <path>', 'add the report in Markdown to a file')
    .addOption(progress())
    .action(run<[string[], Options]>(async () => (await load()).bakeCommand));
  common(
    program
      .command('plan [targets...]')
      .description('say what a build would reuse, and what it would build and why'),
  )
    .option('-f, --file <path>', file)
    .option('--target <stage>', 'of a Dockerfile: this stage')
    .option('--build-arg <name=value>', 'of a Dockerfile: set an ARG', collect)
    .option(
      '--build-context <name=where>',
      'of a Dockerfile: a directory or image under a name',
      collect,
    )
    .action(run<[string[], Options]>(async () => (await load()).planCommand));
  const advise = program
    .command('advise')
    .description('say what would make the builds of a project cheaper');
  advise
    .command('layers')
    .description(
      'group packages and directories into layers, from what commits changed and what building them took',
    )
    .option('-f, --file <path>', 'varve.yml (default: the one that is here)')
    .option('--budget <layers>', 'layers that the project may have (default: four more than now)')
    .option('--commits <number>', 'the last so many commits are the history (default: 50)')
    .option('--bandwidth <megabits>', 'of the registry, a second (default: 100)')
    .option('--replay <commits>', 'build the last so many commits with both, and compare')
    .option('--write', 'change the project file, when the images are proven to stay the same')
    .option('--no-proof', 'with --write: do not build the images to compare them')
    .option('--json', 'print JSON')
    .action(run<[Options]>(async () => (await import('./commands/advise.ts')).adviseLayersCommand));
}
