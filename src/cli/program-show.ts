import { type Command, Option } from 'commander';
import type { Run } from './program-run.ts';

/** `varve image`. */
export function addImage(program: Command, run: Run): void {
  const image = program.command('image').description('images in the store');
  const load = async (): Promise<typeof import('./commands/image.ts')> =>
    import('./commands/image.ts');
  type Options = Record<string, unknown>;
  const json = '--json';
  const asJson = 'print JSON';
  image
    .command('ls')
    .description('list images')
    .option(json, asJson)
    .action(run<[Options]>(async () => (await load()).imageList));
  image
    .command('inspect <name>')
    .description('print manifest and configuration')
    .option('--platform <platform>', 'of this platform')
    .option(json, asJson)
    .action(run<[string, Options]>(async () => (await load()).imageInspect));
  image
    .command('layers <name>')
    .description('list layers with size and instruction, or their files as a tree')
    .option('--platform <platform>', 'of this platform')
    .option('--tree', 'what each layer adds (A), writes again (C) and removes (D)')
    .option('--path <directory>', 'with --tree: only below this directory')
    .option('--depth <levels>', 'with --tree: levels of directories (default: 2)')
    .option('--layer <number>', 'with --tree: this layer only')
    .option(json, asJson)
    .action(run<[string, Options]>(async () => (await load()).imageLayers));
  image
    .command('diff <a> <b>')
    .description('what differs between two images: configuration, packages, files')
    .option('--all', 'list every file')
    .option(json, asJson)
    .action(
      run<[string, string, Options]>(
        async () => (await import('./commands/image-diff.ts')).imageDiff,
      ),
    );
  image
    .command('pull <name>')
    .description('fetch an image')
    .option('--platform <platform>', 'for this platform')
    .option('-q, --quiet', 'print the digest only')
    .action(run<[string, Options]>(async () => (await load()).imagePull));
  image
    .command('push <name>')
    .description('push an image to its registry')
    .option('-q, --quiet', 'print the digest only')
    .action(run<[string, Options]>(async () => (await load()).imagePush));
  image
    .command('save <name>')
    .description('write an image as an archive')
    .requiredOption('-o, --output <file>', 'archive, or - for standard output')
    .addOption(
      new Option('--format <format>', 'archive format').choices(['oci', 'docker']).default('oci'),
    )
    .action(run<[string, Options]>(async () => (await load()).imageSave));
  image
    .command('load')
    .description('read an OCI or Docker archive')
    .requiredOption('-i, --input <path>', 'archive or layout directory')
    .option('-t, --tag <name>', 'name it')
    .action(run<[Options]>(async () => (await load()).imageLoad));
  image
    .command('tag <name> <new>')
    .description('give an image another name')
    .action(run<[string, string]>(async () => (await load()).imageTag));
  image
    .command('rm <names...>')
    .description('remove names of images')
    .action(run<[string[]]>(async () => (await load()).imageRemove));
}

/** `varve history`. */
export function addHistory(program: Command, run: Run): void {
  const history = program.command('history').description('builds that were made here');
  const load = async (): Promise<typeof import('./commands/history.ts')> =>
    import('./commands/history.ts');
  type Options = Record<string, unknown>;
  history
    .command('ls')
    .description('list builds')
    .option('-n, --limit <number>', 'at most this many', '20')
    .option('--json', 'print JSON')
    .action(run<[Options]>(async () => (await load()).historyList));
  history
    .command('show [build]')
    .description('steps of a build (default: the last one)')
    .option('--json', 'print JSON')
    .action(run<[string | undefined, Options]>(async () => (await load()).historyShow));
  history
    .command('logs [build]')
    .description('output of the steps of a build')
    .option('--step <text>', 'only steps whose name has this')
    .action(run<[string | undefined, Options]>(async () => (await load()).historyLogs));
  history
    .command('rm <builds...>')
    .description('remove builds from the history')
    .action(run<[string[]]>(async () => (await load()).historyRemove));
}

/** `varve why`. */
export function addWhy(program: Command, run: Run): void {
  program
    .command('why [build] [step]')
    .description('why steps ran or were cached (default: the last build, all steps)')
    .option('--json', 'print JSON')
    .action(
      run<[string | undefined, string | undefined, Record<string, unknown>]>(async () => {
        const { whyCommand } = await import('./commands/why.ts');
        return (io, build, step, options) =>
          whyCommand(
            io,
            [build, step].filter((word) => word !== undefined),
            options,
          );
      }),
    );
}

/** `varve report`. */
export function addReport(program: Command, run: Run): void {
  program
    .command('report')
    .description('a page about builds, their cache and what misses cost')
    .option('-o, --output <file>', 'where the page is written, or - (default: varve-report.html)')
    .addOption(
      new Option('--format <format>', 'what is made').choices(['html', 'markdown', 'prometheus']),
    )
    .option('--name <name>', 'builds of this name only')
    .option('--json', 'print JSON')
    .action(
      run<[Record<string, unknown>]>(
        async () => (await import('./commands/report.ts')).reportCommand,
      ),
    );
}
