import { err, ok, type Result } from '../base/index.ts';
import type { AstNode, Heredoc, Word } from './ast.ts';
import type { AddCommand, CopyCommand, CopyFields, SourceContent } from './command.ts';
import { commandBase, wrong } from './command-base.ts';
import type { Problem } from './fail.ts';
import { type FlagTable, type FlagValues, parseFlags } from './flags.ts';
import { chompTabs, parseHeredocWord } from './heredoc.ts';

const ADD_FLAGS: FlagTable = {
  chown: 'string',
  chmod: 'string',
  link: 'bool',
  'keep-git-dir': 'bool',
  checksum: 'string',
  unpack: 'bool',
  exclude: 'strings',
};

const COPY_FLAGS: FlagTable = {
  chown: 'string',
  from: 'string',
  chmod: 'string',
  link: 'bool',
  exclude: 'strings',
  parents: 'bool',
};

/** `COPY [flags] source ... destination`. */
export function parseCopy(node: AstNode): Result<CopyCommand, Problem> {
  const common = copyFields(node, 'COPY', COPY_FLAGS);
  if (!common.ok) return common;
  const { flags, fields } = common.value;
  return ok({
    kind: 'copy',
    ...commandBase(node),
    ...fields,
    from: flags.text('from'),
    parents: flags.bool('parents') ?? false,
  });
}

/** `ADD [flags] source ... destination`. */
export function parseAdd(node: AstNode): Result<AddCommand, Problem> {
  const common = copyFields(node, 'ADD', ADD_FLAGS);
  if (!common.ok) return common;
  const { flags, fields } = common.value;
  const keepGitDir = flags.bool('keep-git-dir');
  const unpack = flags.bool('unpack');
  return ok({
    kind: 'add',
    ...commandBase(node),
    ...fields,
    checksum: flags.text('checksum'),
    ...(keepGitDir === undefined ? {} : { keepGitDir }),
    ...(unpack === undefined ? {} : { unpack }),
  });
}

type Parsed = { readonly flags: FlagValues; readonly fields: CopyFields };

function copyFields(
  node: AstNode,
  command: 'ADD' | 'COPY',
  known: FlagTable,
): Result<Parsed, Problem> {
  const dest = node.args.at(-1);
  if (dest === undefined || node.args.length < 2) {
    const text = 'requires at least two arguments, but only one was provided.';
    return wrong(node, `${command} ${text} Destination could not be determined`);
  }
  const flags = parseFlags(node.flags, known);
  if (!flags.ok) return flags;
  if (startsHeredoc(dest) !== undefined) {
    const message = `${command} cannot accept a heredoc as a destination`;
    return err({ message, span: dest.span, code: 'DF011' });
  }
  const bodies = new Map(node.heredocs.map((heredoc) => [heredoc.name, heredoc]));
  const sources: Word[] = [];
  const contents: SourceContent[] = [];
  for (const source of node.args.slice(0, -1)) {
    const start = startsHeredoc(source);
    if (start === undefined) sources.push(source);
    else contents.push(contentOf(start, bodies.get(start.name), source));
  }
  const fields = {
    ...{ sources, contents, dest },
    chown: flags.value.text('chown'),
    chmod: flags.value.text('chmod'),
    link: flags.value.bool('link') ?? false,
    exclude: flags.value.all('exclude').map((pattern) => pattern.value),
  };
  return ok({ flags: flags.value, fields });
}

type Start = Pick<Heredoc, 'name' | 'chomp' | 'expand'>;

function startsHeredoc(word: Word): Start | undefined {
  const start = parseHeredocWord(word.value);
  return start.ok ? start.value : undefined;
}

function contentOf(start: Start, body: Heredoc | undefined, source: Word): SourceContent {
  const content = body?.content ?? '';
  return {
    path: start.name,
    data: start.chomp ? chompTabs(content) : content,
    expand: start.expand,
    span: body?.span ?? source.span,
  };
}
