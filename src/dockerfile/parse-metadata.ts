import { byUtf8, err, ok, type Result } from '../base/index.ts';
import type { AstNode, Word } from './ast.ts';
import type {
  ExposeCommand,
  MaintainerCommand,
  OnbuildCommand,
  StopSignalCommand,
  UserCommand,
  VolumeCommand,
  WorkdirCommand,
} from './command.ts';
import { atLeastOneArgument, commandBase, exactlyOneArgument, wrong } from './command-base.ts';
import type { Problem } from './fail.ts';
import { parseFlags } from './flags.ts';
import { trimSpace } from './go-text.ts';

/** The only argument of an instruction without flags. */
function onlyArgument(node: AstNode, command: string): Result<Word, Problem> {
  const [argument, another] = node.args;
  if (argument === undefined || another !== undefined) return exactlyOneArgument(node, command);
  const flags = parseFlags(node.flags, {});
  return flags.ok ? ok(argument) : flags;
}

/** `WORKDIR path`. */
export function parseWorkdir(node: AstNode): Result<WorkdirCommand, Problem> {
  const path = onlyArgument(node, 'WORKDIR');
  return path.ok ? ok({ kind: 'workdir', ...commandBase(node), path: path.value }) : path;
}

/** `USER name[:group]`. */
export function parseUser(node: AstNode): Result<UserCommand, Problem> {
  const user = onlyArgument(node, 'USER');
  return user.ok ? ok({ kind: 'user', ...commandBase(node), user: user.value }) : user;
}

/** `MAINTAINER name`. */
export function parseMaintainer(node: AstNode): Result<MaintainerCommand, Problem> {
  const name = onlyArgument(node, 'MAINTAINER');
  return name.ok
    ? ok({ kind: 'maintainer', ...commandBase(node), maintainer: name.value.value })
    : name;
}

/** `STOPSIGNAL signal`. Flags are ignored, as BuildKit does. */
export function parseStopSignal(node: AstNode): Result<StopSignalCommand, Problem> {
  const signal = onlyArgument({ ...node, flags: [] }, 'STOPSIGNAL');
  return signal.ok
    ? ok({ kind: 'stopsignal', ...commandBase(node), signal: signal.value })
    : signal;
}

/** `EXPOSE port[/protocol] ...`; ports are sorted. */
export function parseExpose(node: AstNode): Result<ExposeCommand, Problem> {
  if (node.args.length === 0) return atLeastOneArgument(node, 'EXPOSE');
  const flags = parseFlags(node.flags, {});
  if (!flags.ok) return flags;
  const ports = [...node.args].sort((a, b) => byUtf8(a.value, b.value));
  return ok({ kind: 'expose', ...commandBase(node), ports });
}

/** `VOLUME path ...`. */
export function parseVolume(node: AstNode): Result<VolumeCommand, Problem> {
  if (node.args.length === 0) return atLeastOneArgument(node, 'VOLUME');
  const flags = parseFlags(node.flags, {});
  if (!flags.ok) return flags;
  const volumes = node.args.map(({ value, span }) => ({ value: trimSpace(value), span }));
  const empty = volumes.find((volume) => volume.value === '');
  if (empty !== undefined) {
    const message = 'VOLUME specified can not be an empty string';
    return err({ message, span: empty.span, code: 'DF011' });
  }
  return ok({ kind: 'volume', ...commandBase(node), volumes });
}

const KEYWORD = /^[\t\n\f\r ]*ONBUILD[\t\n\f\r ]*/i;

/** `ONBUILD instruction`; kept as text with its here-documents. */
export function parseOnbuild(node: AstNode): Result<OnbuildCommand, Problem> {
  if (node.child === undefined) return atLeastOneArgument(node, 'ONBUILD');
  const flags = parseFlags(node.flags, {});
  if (!flags.ok) return flags;
  const trigger = node.child.value.trim().toUpperCase();
  const span = node.child.keyword;
  if (trigger === 'ONBUILD')
    return wrong(node, "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed", { span });
  if (trigger === 'MAINTAINER' || trigger === 'FROM')
    return wrong(node, `${trigger} isn't allowed as an ONBUILD trigger`, { span });
  const bodies = node.heredocs.map(({ name, content }) => `\n${content}${name}`);
  const expression = node.original.replace(KEYWORD, '') + bodies.join('');
  return ok({ kind: 'onbuild', ...commandBase(node), expression });
}
