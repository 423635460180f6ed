import { chompTabs, parseHeredocWord, type RunCommand, trimSpace } from '../dockerfile/index.ts';
import type { ProxyEnv } from '../llb/index.ts';
import { execNode, type PlannedMount } from './exec-node.ts';
import { inlineFile } from './file-node.ts';
import { commit } from './history.ts';
import { CUSTOM_NAME, shownCommand, stepName } from './names.ts';
import { type ExpandText, planMounts } from './run-mounts.ts';
import type { Lowering, PlannedCommand, StageState } from './stage-state.ts';
import { stop } from './stop.ts';

interface RunLine {
  readonly args: readonly string[];
  /** Added to the name of the step. */
  readonly summary: string;
  /** A script with an interpreter line, mounted at /dev/pipes. */
  readonly script?: PlannedMount;
}

/** The command line of a RUN with its here-documents worked in. */
function runLine(command: RunCommand, os: string): RunLine {
  const { args, files, prependShell } = command.line;
  const [first = ''] = args;
  const [file] = files;
  if (file === undefined) return { args, summary: '' };
  if (args.length !== 1 || !prependShell)
    stop(`parsing produced an invalid run command: [${args.join(' ')}]`);
  const whole = parseHeredocWord(first);
  if (!whole.ok || whole.value === undefined) {
    const bodies = files.map((f) => `\n${f.data}${f.name}`);
    return { args: [`${first}${bodies.join('')}`], summary: '' };
  }
  const data = file.chomp ? chompTabs(file.data) : file.data;
  const summary = ` (${summarise(file.data)})`;
  if (os === 'windows' || !file.data.startsWith('#!')) return { args: [data], summary };
  const from = inlineFile(file.name, 0o755, data);
  const script = { dest: '/dev/pipes/', from, selector: '/', readonly: true };
  return { args: [`/dev/pipes/${file.name}`], summary, script };
}

function summarise(document: string): string {
  const [first = '', ...more] = trimSpace(document).replaceAll('\r\n', '\n').split('\n');
  return more.length > 0 ? `${first}...` : first;
}

/** A command line with the shell in front: the text becomes the shell's one argument. */
export function withShell(stage: StageState, args: readonly string[]): readonly string[] {
  const { Shell } = stage.image.config;
  const shell = Shell.length > 0 ? Shell : defaultShell(stage.image.platform.OS);
  return [...shell, args.join(' ')];
}

const defaultShell = (os: string): readonly string[] =>
  os === 'windows' ? ['cmd', '/S', '/C'] : ['/bin/sh', '-c'];

const NETWORK = { default: 0, host: 1, none: 2 } as const;

/** RUN. */
// One step from its parts; each part is made elsewhere.
export function dispatchRun(
  lowering: Lowering,
  stage: StageState,
  planned: PlannedCommand & { readonly command: RunCommand },
  expand: ExpandText,
): void {
  const { command } = planned;
  const { request } = lowering;
  const line = runLine(command, stage.image.platform.OS);
  const args = command.line.prependShell ? withShell(stage, line.args) : line.args;
  const found = planMounts(lowering, stage, planned, expand);
  const { env, dir, user } = stage.state;
  const platform = stage.platform ?? lowering.targetPlatform;
  const masked = new Map(found.secretEnv.map((s) => [s.name, '****']));
  const shown = { get: (name: string) => masked.get(name) ?? env.get(name) };
  const text = shownCommand(lowering, `${command.code}${line.summary}`, shown, { raw: true });
  const onBuild = planned.onBuild ? 'ONBUILD ' : '';
  const name = stepName(lowering, stage, `${onBuild}${text}`, { platform, env });
  const shm = request.shmSize ?? 0;
  const proxy: { proxy_env?: ProxyEnv } =
    lowering.proxy === undefined ? {} : { proxy_env: lowering.proxy };
  const socket = found.ssh[0]?.dest;
  const stepEnv =
    socket !== undefined && env.get('SSH_AUTH_SOCK') === undefined
      ? env.with('SSH_AUTH_SOCK', socket)
      : env;
  lowering.budget.takeText(stepEnv.size());
  const output = execNode({
    meta: {
      args,
      env: stepEnv.lines(),
      cwd: dir,
      user,
      ...proxy,
      extraHosts: request.extraHosts ?? [],
      hostname: lowering.hostname,
      ulimit: request.ulimits ?? [],
      cgroupParent: request.cgroupParent ?? '',
      removeMountStubsRecursive: true,
      validExitCodes: [],
    },
    root: stage.state.output,
    mounts: [
      ...(line.script === undefined ? [] : [line.script]),
      ...found.mounts,
      ...(shm > 0 ? [{ dest: '/dev/shm', from: undefined, tmpfs: { size: shm } }] : []),
    ],
    secrets: found.secrets,
    secretEnv: found.secretEnv,
    ssh: found.ssh,
    devices: command.devices.map((d) => ({ name: d.name, optional: !d.required })),
    network: command.network === 'default' ? lowering.networkMode : NETWORK[command.network],
    security: command.security === 'insecure' ? 1 : 0,
    platform,
    metadata: {
      description: { [CUSTOM_NAME]: name, 'com.docker.dockerfile.v1.command': command.code },
      ignoreCache: stage.ignoreCache,
      spans: [planned.at.span],
    },
  });
  // A step may read everything below it.
  stage.paths.add('/');
  stage.state = { ...stage.state, output };
  const said = ['RUN', ...argPrefix(stage.buildArgs, env), ...args].join(' ');
  commit(lowering, stage, said, { layer: true, step: true });
}

/** `|2 A=1 B=2`: the declared arguments with their values, each once, where it was first declared. */
function argPrefix(
  declared: ReadonlyMap<string, string | undefined>,
  env: { get(name: string): string | undefined },
): string[] {
  if (declared.size === 0) return [];
  const values = [...declared].map(([key, value]) => `${key}=${env.get(key) ?? value ?? ''}`);
  return [`|${declared.size}`, ...values];
}
