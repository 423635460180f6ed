import { err, ok, type Result } from '../base/index.ts';
import type { AstNode, Word } from './ast.ts';
import type { Health, HealthcheckCommand } from './command.ts';
import { atLeastOneArgument, commandBase, wrong } from './command-base.ts';
import { parseDuration } from './duration.ts';
import type { Problem } from './fail.ts';
import { type FlagTable, type FlagValues, parseFlags } from './flags.ts';
import { parseInt32 } from './go-number.ts';
import { goString } from './go-text.ts';
import { shellFormArgs } from './parse-shell-form.ts';

const FLAGS: FlagTable = {
  interval: 'string',
  timeout: 'string',
  'start-period': 'string',
  'start-interval': 'string',
  retries: 'string',
};

const NO_TIMES = { interval: 0n, timeout: 0n, startPeriod: 0n, startInterval: 0n, retries: 0 };
const MILLISECOND = 1_000_000n;

/** `HEALTHCHECK NONE` or `HEALTHCHECK [flags] CMD command`. */
export function parseHealthcheck(node: AstNode): Result<HealthcheckCommand, Problem> {
  const [type, ...args] = node.args;
  if (type === undefined) return atLeastOneArgument(node, 'HEALTHCHECK');
  const keyword = type.value.toUpperCase();
  if (keyword === 'NONE') {
    // Flags are not even looked at.
    if (args.length > 0) return wrong(node, 'HEALTHCHECK NONE takes no arguments');
    return ok({
      kind: 'healthcheck',
      ...commandBase(node),
      health: { test: [keyword], ...NO_TIMES },
    });
  }
  const flags = parseFlags(node.flags, FLAGS);
  if (!flags.ok) return flags;
  if (keyword !== 'CMD') {
    const message = `Unknown type ${goString(keyword)} in HEALTHCHECK (try CMD)`;
    return wrong(node, message, { span: type.span });
  }
  const command = shellFormArgs({ args, json: node.json });
  if (command.length === 0) return wrong(node, 'Missing command after HEALTHCHECK CMD');
  const times = readTimes(flags.value);
  if (!times.ok) return times;
  const test = [node.json ? 'CMD' : 'CMD-SHELL', ...command];
  return ok({ kind: 'healthcheck', ...commandBase(node), health: { test, ...times.value } });
}

function readTimes(flags: FlagValues): Result<Omit<Health, 'test'>, Problem> {
  const times: bigint[] = [];
  for (const name of ['interval', 'timeout', 'start-period', 'start-interval']) {
    const time = readInterval(flags.all(name)[0], name);
    if (!time.ok) return time;
    times.push(time.value);
  }
  const [interval = 0n, timeout = 0n, startPeriod = 0n, startInterval = 0n] = times;
  const [given] = flags.all('retries');
  if (given === undefined || given.value === '')
    return ok({ interval, timeout, startPeriod, startInterval, retries: 0 });
  const retries = parseInt32(given.value);
  if (!retries.ok) return err({ message: retries.error, span: given.span, code: 'DF014' });
  if (retries.value < 0) {
    const message = `--retries cannot be negative (${retries.value})`;
    return err({ message, span: given.span, code: 'DF014' });
  }
  return ok({ interval, timeout, startPeriod, startInterval, retries: retries.value });
}

function readInterval(flag: Word | undefined, name: string): Result<bigint, Problem> {
  if (flag === undefined || flag.value === '') return ok(0n);
  const duration = parseDuration(flag.value);
  if (!duration.ok) return err({ message: duration.error, span: flag.span, code: 'DF014' });
  if (duration.value === 0n || duration.value >= MILLISECOND) return duration;
  const message = `Interval ${goString(name)} cannot be less than 1ms`;
  return err({ message, span: flag.span, code: 'DF014' });
}
