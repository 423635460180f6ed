import { unreachable } from '../base/index.ts';
import type {
  ArgCommand,
  Command,
  EnvCommand,
  LabelCommand,
  WorkdirCommand,
} from '../dockerfile/index.ts';
import { expandWords, MESSAGES, quoteGo, rule } from '../dockerfile/index.ts';
import { DECLARED_ONLY } from './build-args.ts';
import { checkSecretName } from './checks.ts';
import { type CopyTexts, dispatchCopy } from './dispatch-copy.ts';
import { dispatchCmd, dispatchEntrypoint, dispatchHealthcheck } from './dispatch-process.ts';
import { dispatchRun } from './dispatch-run.ts';
import { mkdirNode } from './file-node.ts';
import { commit } from './history.ts';
import { Dispatch } from './instruction.ts';
import { CUSTOM_NAME, shownCommand, stepName } from './names.ts';
import { cleanPath, normalisePath } from './paths.ts';
import { exposedPorts } from './ports.ts';
import { isSignal } from './signals.ts';
import type { Lowering, PlannedCommand, StageState } from './stage-state.ts';
import { stop } from './stop.ts';

/** Lowers one instruction of a stage (BuildKit dockerfile2llb/convert.go, `dispatch`). */
// One case per instruction: long, but flat.
export function dispatch(lowering: Lowering, stage: StageState, planned: PlannedCommand): void {
  const d = new Dispatch(lowering, stage, planned);
  const { command } = planned;
  const { config } = stage.image;
  switch (command.kind) {
    case 'run': {
      dispatchRun(d.lowering, stage, { ...planned, command }, d.expand);
      return;
    }
    case 'copy':
    case 'add': {
      const source = planned.sources[0];
      if (command.kind === 'copy' && source?.dispatched === false)
        stop(
          `cannot copy from stage ${quoteGo(command.from)}, it needs to be defined before current stage ${quoteGo(stage.shownName)}`,
          'DF022',
        );
      dispatchCopy(d.lowering, stage, { ...planned, command }, copyTexts(d, command));
      return;
    }
    case 'env': {
      dispatchEnv(d, command);
      return;
    }
    case 'arg': {
      dispatchArg(d, command);
      return;
    }
    case 'label': {
      dispatchLabel(d, command);
      return;
    }
    case 'workdir': {
      dispatchWorkdir(d, command);
      return;
    }
    case 'cmd': {
      dispatchCmd(d, command);
      return;
    }
    case 'entrypoint': {
      dispatchEntrypoint(d, command);
      return;
    }
    case 'healthcheck': {
      dispatchHealthcheck(d, command);
      return;
    }
    case 'user': {
      const user = d.expand(command.user.value);
      stage.state = { ...stage.state, user };
      config.User = user;
      commit(lowering, stage, `USER ${user}`);
      return;
    }
    case 'expose': {
      const words = command.ports.flatMap((port) => {
        const env = stage.state.env;
        const found = expandWords(port.value, env, { escapeToken: lowering.escapeToken });
        return found.ok ? found.value : stop(found.error, 'DF021');
      });
      const ports = exposedPorts(words, d.lowering.linter, planned.at);
      for (const port of ports) config.ExposedPorts.add(port);
      commit(lowering, stage, `EXPOSE [${ports.join(' ')}]`);
      return;
    }
    case 'volume': {
      const volumes = command.volumes.map((v) => d.expand(v.value));
      if (volumes.includes('')) stop('VOLUME specified can not be an empty string', 'DF026');
      for (const volume of volumes) config.Volumes.add(volume);
      commit(lowering, stage, `VOLUME [${volumes.join(' ')}]`);
      return;
    }
    case 'stopsignal': {
      const signal = d.expand(command.signal.value);
      if (!isSignal(signal)) stop(`invalid signal: ${signal}`, 'DF026');
      config.StopSignal = signal;
      commit(lowering, stage, `STOPSIGNAL ${signal}`);
      return;
    }
    case 'shell':
      config.Shell = command.shell;
      {
        commit(lowering, stage, `SHELL [${command.shell.join(' ')}]`);
        return;
      }
    case 'maintainer':
      stage.image.author = command.maintainer;
      {
        commit(lowering, stage, `MAINTAINER ${command.maintainer}`);
        return;
      }
    case 'onbuild':
      config.OnBuild.push(command.expression);
      return;
    default:
      return unreachable(command);
  }
}

function copyTexts(d: Dispatch, command: Extract<Command, { kind: 'copy' | 'add' }>): CopyTexts {
  const chown = d.expand(command.chown);
  const chmod = d.expand(command.chmod);
  const checksum = command.kind === 'add' ? d.expand(command.checksum) : '';
  const sources = command.sources.map((s) => d.expand(s.value));
  const dest = d.expand(command.dest.value);
  const contents = command.contents.map(({ path, data, expand }) => ({
    path,
    data: expand ? d.expandDocument(data) : data,
  }));
  return { sources, dest, chown, chmod, checksum, contents };
}

function dispatchEnv(d: Dispatch, command: EnvCommand): void {
  const { stage, lowering } = d;
  const pairs = command.pairs.map((p) => ({
    ...p,
    key: d.expand(p.key),
    value: d.expand(p.value),
  }));
  for (const { key, value, legacy } of pairs) {
    if (legacy) warnLegacy(d, command.name);
    checkSecretName(lowering.linter, 'ENV', key, d.planned.at);
    stage.state = { ...stage.state, env: stage.state.env.with(key, value) };
    stage.image.config.Env.set(key, value);
  }
  commit(lowering, stage, `ENV ${pairs.map((p) => `${p.key}=${p.value}`).join(' ')}`);
}

function warnLegacy(d: Dispatch, name: string): void {
  const message = MESSAGES.LegacyKeyValueFormat(name);
  d.lowering.linter.warn(rule('LegacyKeyValueFormat'), message, d.planned.at);
}

function dispatchLabel(d: Dispatch, command: LabelCommand): void {
  const { stage, lowering } = d;
  const pairs = command.pairs.map((p) => ({
    ...p,
    key: d.expand(p.key),
    value: d.expand(p.value),
  }));
  const { Labels } = stage.image.config;
  for (const { key, value, legacy } of pairs) {
    if (legacy) warnLegacy(d, command.name);
    Labels.set(key, value);
  }
  commit(lowering, stage, `LABEL ${pairs.map((p) => `${p.key}=${p.value}`).join(' ')}`);
}

function dispatchArg(d: Dispatch, command: ArgCommand): void {
  const { stage, lowering } = d;
  const { buildArgs = {} } = lowering.request;
  const said: string[] = [];
  for (const { key, value: written, docComment: description } of command.args) {
    checkSecretName(lowering.linter, 'ARG', key, d.planned.at);
    const value =
      buildArgs[key] ?? (written === undefined ? lowering.globalArgs.get(key) : d.expand(written));
    if (value !== undefined && !DECLARED_ONLY.has(key))
      stage.state = { ...stage.state, env: stage.state.env.with(key, value) };
    // Without a value of its own the declaration above the first FROM is meant, where there is one.
    const inherited = buildArgs[key] === undefined && written === undefined && value !== undefined;
    if (!inherited) {
      const { lines } = d.planned.at;
      stage.outline.declare({ name: key, description, value: value ?? '', lines, deps: new Set() });
    }
    stage.outline.used.add(key);
    stage.buildArgs.set(key, value);
    said.push(value === undefined ? key : `${key}=${value}`);
  }
  commit(lowering, stage, `ARG ${said.join(' ')}`);
}

function dispatchWorkdir(d: Dispatch, command: WorkdirCommand): void {
  const { stage, lowering, planned } = d;
  const text = d.expand(command.path.value);
  if (!stage.workdirSet && !text.startsWith('/')) {
    const message = MESSAGES.WorkdirRelativePath(text);
    lowering.linter.warn(rule('WorkdirRelativePath'), message, planned.at);
  }
  stage.workdirSet = true;
  const dir = enterDirectory(stage, text);
  if (dir !== '/') {
    const { env } = stage.state;
    const platform = stage.platform ?? lowering.targetPlatform;
    const shown = `${planned.onBuild ? 'ONBUILD ' : ''}${shownCommand(lowering, command.code, env)}`;
    const name = stepName(lowering, stage, shown, { platform, env });
    const { User } = stage.image.config;
    const mkdir = {
      path: cleanPath(dir),
      mode: 0o755,
      makeParents: true,
      timestamp: lowering.timestamp,
    };
    const description = { [CUSTOM_NAME]: name };
    const output = mkdirNode(stage.state.output, mkdir, {
      ...(User === '' ? {} : { owner: User }),
      metadata: { description, caps: ['file.base'], spans: [planned.at.span] },
    });
    stage.state = { ...stage.state, output };
  }
  commit(lowering, stage, `WORKDIR ${dir}`, { layer: dir !== '/' });
}

/** Makes a path, relative to the current one or absolute, the working directory. */
export function enterDirectory(stage: StageState, path: string): string {
  const current = stage.image.config.WorkingDir;
  const dir = normalisePath(current, path, { keepSlash: true });
  stage.image.config.WorkingDir = dir;
  stage.state = { ...stage.state, dir };
  return dir;
}
