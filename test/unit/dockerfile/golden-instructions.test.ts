import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ok } from '../../../src/base/index.ts';
import {
  type Command,
  type CommandLine,
  type CopyFields,
  type Health,
  type Mount,
  type ParsedDockerfile,
  parseDockerfile,
  parseInstructions,
  parseMount,
  type RunCommand,
} from '../../../src/dockerfile/index.ts';
import { goldenJson, needsGolden, note } from '../../rig/golden.ts';

type Json = Readonly<Record<string, unknown>>;

const PREFIX = /^dockerfile parse error on line \d+: /;

/** What BuildKit's `ParseInstruction` gave for one line, computed here. */
function result(line: string): Json {
  const parsed = parseDockerfile({ path: 'Dockerfile', text: line });
  if (!parsed.ok) return { line, parseError: parsed.error.message };
  const { ast } = parsed.value;
  // A line on its own: a FROM in front gives other instructions their stage without moving any of them.
  const stage = parseDockerfile({ path: 'Dockerfile', text: 'FROM x' });
  const children = [...(stage.ok ? stage.value.ast.children : []), ...ast.children];
  const file: ParsedDockerfile = { ...parsed.value, ast: { ...ast, children } };
  const instructions = parseInstructions(file);
  if (!instructions.ok) return { line, error: instructions.error.message.replace(PREFIX, '') };
  const [first, second] = instructions.value.stages;
  if (second !== undefined) {
    const { base, stageName, platform } = second;
    return { line, stage: { base: base.value, name: stageName, platform } };
  }
  const command = first?.commands[0];
  if (command === undefined) return { line };
  if (command.kind === 'run') return { line, ...runFields(command) };
  return { line, name: command.name, string: command.code, fields: fieldsOf(command) };
}

function runFields(run: RunCommand): Json {
  const common = {
    cmdLine: run.line.args,
    shellForm: run.line.prependShell,
    network: run.network,
    security: run.security,
  };
  const mounts: Json[] = [];
  for (const { value } of run.mounts) {
    const mount = parseMount(value, ok);
    if (!mount.ok) return { ...common, expandError: mount.error };
    mounts.push(goMount(mount.value));
  }
  return { ...common, mounts };
}

const goMount = (m: Mount): Json => ({
  Type: m.type,
  From: m.from,
  Source: m.source,
  Target: m.target,
  ReadOnly: m.readonly,
  SizeLimit: m.sizeLimit,
  CacheID: m.id,
  CacheSharing: m.sharing,
  Required: m.required,
  Env: m.env ?? null,
  Mode: m.mode ?? null,
  UID: m.uid ?? null,
  GID: m.gid ?? null,
});

const orNull = <T>(list: readonly T[]): readonly T[] | null => (list.length === 0 ? null : list);

const goCopy = (c: CopyFields): Json => ({
  DestPath: c.dest.value,
  SourcePaths: orNull(c.sources.map((source) => source.value)),
  SourceContents: orNull(c.contents),
  Chown: c.chown,
  Chmod: c.chmod,
  Link: c.link,
  ExcludePatterns: orNull(c.exclude),
});

const goLine = (line: CommandLine, emptyAsNull: boolean): Json => ({
  CmdLine: emptyAsNull ? orNull(line.args) : line.args,
  Files: orNull(line.files),
  PrependShell: line.prependShell,
});

/** Zero values are left out of the Go JSON. */
const goHealth = (h: Health): Json => ({
  Test: h.test,
  ...(h.interval === 0n ? {} : { Interval: Number(h.interval) }),
  ...(h.timeout === 0n ? {} : { Timeout: Number(h.timeout) }),
  ...(h.startPeriod === 0n ? {} : { StartPeriod: Number(h.startPeriod) }),
  ...(h.startInterval === 0n ? {} : { StartInterval: Number(h.startInterval) }),
  ...(h.retries === 0 ? {} : { Retries: h.retries }),
});

/** Fields as the Go JSON of the command names them. */
function fieldsOf(command: Exclude<Command, RunCommand>): Json {
  switch (command.kind) {
    case 'copy':
      return { ...goCopy(command), From: command.from, Parents: command.parents };
    case 'add': {
      const { keepGitDir = null, unpack = null, checksum } = command;
      return { ...goCopy(command), KeepGitDir: keepGitDir, Checksum: checksum, Unpack: unpack };
    }
    case 'env':
    case 'label': {
      const pairs = command.pairs.map((p) => ({ Key: p.key, Value: p.value, NoDelim: p.legacy }));
      return command.kind === 'env' ? { Env: pairs } : { Labels: pairs };
    }
    case 'arg':
      return {
        Args: command.args.map((a) => ({
          Key: a.key,
          Value: a.value ?? null,
          DocComment: a.docComment,
        })),
      };
    case 'workdir':
      return { Path: command.path.value };
    case 'user':
      return { User: command.user.value };
    case 'volume':
      return { Volumes: command.volumes.map((volume) => volume.value) };
    case 'expose':
      return { Ports: command.ports.map((port) => port.value) };
    case 'stopsignal':
      return { Signal: command.signal.value };
    case 'shell':
      return { Shell: command.shell };
    case 'maintainer':
      return { Maintainer: command.maintainer };
    case 'cmd':
      return goLine(command.line, false);
    case 'entrypoint':
      return goLine(command.line, true);
    case 'healthcheck':
      return { Health: goHealth(command.health) };
    case 'onbuild':
      return { Expression: command.expression };
  }
}

test('single instructions parse into the fields and errors of BuildKit', needsGolden, () => {
  const { cases } = goldenJson<{ readonly cases: readonly Json[] }>('lexer/instructions.json');
  const differences: string[] = [];
  for (const want of cases) {
    try {
      assert.deepEqual(result(String(want['line'])), want);
    } catch (e) {
      differences.push(`${String(want['line'])}: ${(e as Error).message}`);
    }
  }
  note(`instructions.json: ${cases.length - differences.length} of ${cases.length} equal`);
  assert.deepEqual(differences, []);
});
