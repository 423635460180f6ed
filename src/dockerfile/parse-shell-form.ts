import { err, ok, type Result } from '../base/index.ts';
import type { AstNode, Word } from './ast.ts';
import type {
  CmdCommand,
  CommandLine,
  Device,
  EntrypointCommand,
  RunCommand,
  ShellCommand,
} from './command.ts';
import { atLeastOneArgument, commandBase, wrong } from './command-base.ts';
import type { Problem } from './fail.ts';
import { type FlagValues, parseFlags } from './flags.ts';
import { goString } from './go-text.ts';
import { checkMount, parseDevice } from './mount.ts';

const NETWORKS = ['default', 'none', 'host'] as const;
const SECURITIES = ['insecure', 'sandbox'] as const;

/** JSON elements as they are; otherwise one text, or nothing. */
export function shellFormArgs(of: Pick<AstNode, 'args' | 'json'>): readonly string[] {
  const args = of.args.map((word) => word.value);
  return of.json || args.length === 0 ? args : [args.join(' ')];
}

function commandLine(node: AstNode): CommandLine {
  return {
    args: shellFormArgs(node),
    prependShell: !node.json,
    files: node.heredocs.map(({ name, content, chomp }) => ({ name, data: content, chomp })),
  };
}

/** `RUN [flags] command`. Mounts are parsed when their variables are known; devices now. */
export function parseRun(node: AstNode): Result<RunCommand, Problem> {
  const flags = parseFlags(node.flags, {
    mount: 'strings',
    network: 'string',
    security: 'string',
    device: 'strings',
  });
  if (!flags.ok) return flags;
  const devices = readDevices(flags.value.all('device'));
  if (!devices.ok) return devices;
  const mounts = flags.value.all('mount');
  for (const mount of mounts) {
    const message = checkMount(mount.value);
    if (message !== undefined) return err({ message, span: mount.span, code: 'DF015' });
  }
  const network = pick(flags.value, 'network', NETWORKS);
  if (network === undefined)
    return badFlag(flags.value, 'network', (value) => `invalid network mode ${value}`);
  const security = pick(flags.value, 'security', SECURITIES);
  if (security === undefined)
    return badFlag(flags.value, 'security', (value) => `security ${value} is not valid`);
  return ok({
    kind: 'run',
    ...commandBase(node),
    line: commandLine(node),
    mounts,
    network: network === 'unset' ? 'default' : network,
    security: security === 'unset' ? 'sandbox' : security,
    devices: devices.value,
    flagsUsed: flags.value.used,
  });
}

/** The value of a flag that takes one of a few words; undefined when it is none of them. */
function pick<T extends string>(
  flags: FlagValues,
  name: string,
  allowed: readonly T[],
): T | 'unset' | undefined {
  if (flags.all(name).length === 0) return 'unset';
  return allowed.find((value) => value === flags.text(name));
}

function badFlag(
  flags: FlagValues,
  name: string,
  message: (quoted: string) => string,
): { ok: false; error: Problem } {
  const [flag] = flags.all(name);
  const span = flag?.span ?? { offset: 0, length: 0 };
  return err({ message: message(goString(flag?.value ?? '')), span, code: 'DF012' });
}

function readDevices(flags: readonly Word[]): Result<Device[], Problem> {
  const devices: Device[] = [];
  for (const flag of flags) {
    const device = parseDevice(flag.value);
    if (!device.ok) return err({ message: device.error, span: flag.span, code: 'DF015' });
    devices.push(device.value);
  }
  return ok(devices);
}

/** `CMD command`. */
export function parseCmd(node: AstNode): Result<CmdCommand, Problem> {
  const flags = parseFlags(node.flags, {});
  return flags.ok ? ok({ kind: 'cmd', ...commandBase(node), line: commandLine(node) }) : flags;
}

/** `ENTRYPOINT command`. */
export function parseEntrypoint(node: AstNode): Result<EntrypointCommand, Problem> {
  const flags = parseFlags(node.flags, {});
  return flags.ok
    ? ok({ kind: 'entrypoint', ...commandBase(node), line: commandLine(node) })
    : flags;
}

/** `SHELL ["executable", "parameter"]`. */
export function parseShell(node: AstNode): Result<ShellCommand, Problem> {
  const flags = parseFlags(node.flags, {});
  if (!flags.ok) return flags;
  const shell = shellFormArgs(node);
  if (shell.length === 0) return atLeastOneArgument(node, 'SHELL');
  if (!node.json) {
    const help = 'write SHELL ["executable", "parameter"]';
    return wrong(node, 'SHELL requires the arguments to be in JSON form', { help });
  }
  return ok({ kind: 'shell', ...commandBase(node), shell });
}
