import {
  type CmdCommand,
  type CommandLine,
  type EntrypointCommand,
  type Health,
  type HealthcheckCommand,
  MESSAGES,
  quoteGo,
  rule,
} from '../dockerfile/index.ts';
import { withShell } from './dispatch-run.ts';
import { formatDuration } from './duration-text.ts';
import { commit } from './history.ts';
import type { Dispatch } from './instruction.ts';

/** MultipleInstructionsDisallowed: reported where the instruction was given before. */
function once(d: Dispatch, kind: 'cmd' | 'entrypoint' | 'healthcheck'): void {
  const before = d.stage.last[kind];
  if (before !== undefined) {
    const message = MESSAGES.MultipleInstructionsDisallowed(d.planned.command.name);
    d.lowering.linter.warn(rule('MultipleInstructionsDisallowed'), message, before);
  }
  d.stage.last[kind] = d.planned.at;
}

/** The arguments of CMD or ENTRYPOINT, with the shell in front of a text. */
function shellForm(d: Dispatch, line: CommandLine): readonly string[] {
  if (!line.prependShell) return line.args;
  if (d.stage.image.config.Shell.length === 0) {
    const message = MESSAGES.JSONArgsRecommended(d.planned.command.name);
    d.lowering.linter.warn(rule('JSONArgsRecommended'), message, d.planned.at);
  }
  return withShell(d.stage, line.args);
}

const quoted = (args: readonly string[]): string => `[${args.map(quoteGo).join(' ')}]`;

/** CMD. */
export function dispatchCmd(d: Dispatch, command: CmdCommand): void {
  once(d, 'cmd');
  const args = shellForm(d, command.line);
  d.stage.image.config.Cmd = args;
  d.stage.image.config.ArgsEscaped = true;
  commit(d.lowering, d.stage, `CMD ${quoted(args)}`);
}

/** ENTRYPOINT. */
export function dispatchEntrypoint(d: Dispatch, command: EntrypointCommand): void {
  once(d, 'entrypoint');
  const args = shellForm(d, command.line);
  const { config } = d.stage.image;
  config.Entrypoint = args;
  if (d.stage.last.cmd === undefined) config.Cmd = [];
  commit(d.lowering, d.stage, `ENTRYPOINT ${quoted(args)}`);
}

/** HEALTHCHECK. */
export function dispatchHealthcheck(d: Dispatch, command: HealthcheckCommand): void {
  once(d, 'healthcheck');
  d.stage.image.config.Healthcheck = command.health;
  commit(d.lowering, d.stage, `HEALTHCHECK ${healthText(command.health)}`);
}

/** A health check as Go's `%+v` prints it. */
function healthText(h: Health): string {
  const times = [
    ['Interval', h.interval],
    ['Timeout', h.timeout],
    ['StartPeriod', h.startPeriod],
    ['StartInterval', h.startInterval],
  ] as const;
  const shown = times.map(([name, ns]) => `${name}:${formatDuration(ns)}`).join(' ');
  return `{Test:[${h.test.join(' ')}] ${shown} Retries:${h.retries}}`;
}
