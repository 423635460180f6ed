import type { Command, Option } from 'commander';
import { addBuildLimits, addLimits, collect, type Run } from './program-run.ts';

/** `varve compose` and what belongs to it. */
export function addCompose(program: Command, run: Run, progressOption: () => Option): void {
  const compose = program
    .command('compose <template>')
    // Options behind the name of a command below are that command's.
    .enablePositionalOptions()
    .description('build a root file system, image or bootable disk from an OS template')
    .option('-t, --tag <name>', 'name the image', collect)
    .option('--platform <platform>', 'build for this platform')
    .option(
      '-o, --output <spec>',
      'type=raw|qcow2|vhd|vmdk|iso|oci|docker|tar|local|image|registry,dest=…',
      collect,
    )
    .option('--push', 'push the image to its registry')
    .option('--boot-test [mode]', 'boot the disk in QEMU: efi (default) or direct')
    .option('--boot-marker <text>', 'what the serial console must show (default "login:")')
    .option('--boot-timeout <seconds>', 'how long that may take (default 600)')
    .option('--lock <file>', 'write which packages were chosen')
    .option('--frozen', 'use the packages of the lock file (default TEMPLATE.lock)')
    .option('--offline', 'fetch nothing')
    .option('--chroot <path>', 'begin with the tools in a file of "compose chroot"', collect)
    .option('--spdx <file>', 'write an inventory of packages (SPDX 2.3)')
    .option('--cyclonedx <file>', 'write an inventory of packages (CycloneDX 1.5)')
    .option('--dot <file>', 'write which package needs which (Graphviz)')
    .option('--html <file>', 'write which package needs which as a page with a picture')
    .option('--workers <number>', 'how many steps run at once')
    .option('--cache-dir <dir>', 'where packages are kept (default: in the store)')
    .option('--work-dir <dir>', 'the store of this build (default: VARVE_ROOT)')
    .option('--config <file>', 'global configuration')
    .option('--log-level <level>', 'debug, info, warn or error')
    .option('--log-file <file>', 'write progress and messages to a file too')
    .option('--no-cache', 'make it again')
    .option('--clean', 'make it from nothing: no cached step, no earlier root to begin with')
    .option('--metadata-file <path>', 'write what was built as JSON')
    .option('--iidfile <path>', 'write the image ID')
    .option('--json', 'print events as JSON lines on standard output')
    .option('-q, --quiet', 'print the image ID only')
    .addOption(progressOption());
  addBuildLimits(addLimits(compose)).action(
    run<[string, Record<string, unknown>]>(async () => {
      const { composeCommand } = await import('./commands/compose.ts');
      return (io, template, options) => composeCommand(io, template, options);
    }),
  );
  const check = async (): Promise<typeof import('./commands/compose-check.ts')> =>
    import('./commands/compose-check.ts');
  compose
    .command('validate <template>')
    .description('check a template; nothing is fetched')
    .option('--config <file>', 'global configuration')
    .option('--merged', 'print it as JSON with what it extends')
    .action(run<[string, Record<string, unknown>]>(async () => (await check()).composeValidate));
  compose
    .command('resolve <template>')
    .description('say which packages the root has, and why each; only indexes are fetched')
    .option('--config <file>', 'global configuration')
    .option('--lock <file>', 'write which packages were chosen')
    .option('--html <file>', 'write which package needs which as a page with a picture')
    .option('--frozen', 'show the packages of the lock file (default TEMPLATE.lock)')
    .option('--offline', 'fetch nothing')
    .option('--json', 'print JSON')
    .action(
      run<[string, Record<string, unknown>]>(
        async () => (await import('./commands/compose-resolve.ts')).composeResolve,
      ),
    );
  compose
    .command('chroot <template>')
    .description('write the roots in which the tools of a distribution run, as tar.zst')
    .option(
      '-o, --output <path>',
      'FILE.tar.zst of one root, or DIR/ of all (default: in the store)',
    )
    .option('--root <name>', 'kernel, disk, convert, verity, sign, iso or boot', collect)
    .option('--lock <file>', 'lock file of --frozen (default TEMPLATE.lock)')
    .option('--frozen', 'use the packages of the lock file')
    .option('--offline', 'fetch nothing')
    .option('--cache-dir <dir>', 'where packages are kept (default: in the store)')
    .option('--work-dir <dir>', 'the store (default: VARVE_ROOT)')
    .option('--config <file>', 'global configuration')
    .option('--json', 'print JSON')
    .addOption(progressOption())
    .action(
      run<[string, Record<string, unknown>]>(
        async () => (await import('./commands/compose-chroot.ts')).composeChroot,
      ),
    );
  compose
    .command('inspect <file>')
    .description('show what a template asks for, or what a disk holds; nothing is mounted')
    .option('--config <file>', 'global configuration')
    .option('--json', 'print JSON')
    .option('--files', 'of a disk: list every file')
    .option('--spdx <file>', 'of a disk: write an inventory of packages (SPDX 2.3)')
    .option('--cyclonedx <file>', 'of a disk: write an inventory of packages (CycloneDX 1.5)')
    .action(
      run<[string, Record<string, unknown>]>(
        async () => (await import('./commands/compose-inspect.ts')).composeInspect,
      ),
    );
  compose
    .command('compare <a> <b>')
    .description('say what differs between two disks, two templates or two lock files')
    .option('--config <file>', 'global configuration')
    .option('--json', 'print JSON')
    .option('--exit-code', 'end with 1 when they differ')
    .action(
      run<[string, string, Record<string, unknown>]>(async () => {
        const { composeCompare } = await import('./commands/compose-compare.ts');
        return (io, a, b, values) => composeCompare(io, [a, b], values);
      }),
    );
  compose
    .command('verify <template>')
    .description('prove that what is cached is what a build from nothing makes')
    .option('--config <file>', 'global configuration')
    .addOption(progressOption())
    .action(
      run<[string, Record<string, unknown>]>(
        async () => (await import('./commands/compose.ts')).composeVerify,
      ),
    );
}
