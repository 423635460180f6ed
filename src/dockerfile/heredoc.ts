import { err, ok, type Result } from '../base/index.ts';
import type { AstNode, Heredoc } from './ast.ts';
import { expandWords } from './expand.ts';

const WORD = /^([0-9]*)<<(-?)[\t\n\f\r ]*([^<]*)$/;
const NO_ENVIRONMENT: ReadonlyMap<string, string> = new Map();
const HOLDERS: ReadonlySet<string> = new Set(['add', 'copy', 'run']);

/** The start of a here-document, without its body. */
export type HeredocStart = Omit<Heredoc, 'content' | 'span'>;

/** Reads a word such as `<<EOF` or `3<<-"EOF"`; undefined when it starts no here-document. */
export function parseHeredocWord(word: string): Result<HeredocStart | undefined, string> {
  if (!word.includes('<<')) return ok(undefined);
  const found = WORD.exec(word);
  const rest = found?.[3] ?? '';
  if (found === null || rest === '') return ok(undefined);
  const unquoted = expandWords(rest, NO_ENVIRONMENT, { skipUnsetEnv: true });
  if (!unquoted.ok) return unquoted;
  const [name, another] = unquoted.value;
  if (name === undefined || another !== undefined) return ok(undefined);
  const raw = expandWords(rest, NO_ENVIRONMENT, { skipUnsetEnv: true, rawQuotes: true });
  if (!raw.ok) return raw;
  if (raw.value.length !== 1)
    return err(`internal lexing of heredoc produced inconsistent results: ${rest}`);
  return ok({
    name,
    fd: Number(found[1] ?? '0'),
    // Quotes that vanish quoted the terminator.
    expand: quotes(name) === quotes(raw.value[0] ?? ''),
    chomp: found[2] === '-',
  });
}

const quotes = (text: string): number => text.match(/['"]/g)?.length ?? 0;

/** Here-documents that a logical line starts, in order. */
export function heredocsOfLine(line: string): Result<HeredocStart[], string> {
  const words = expandWords(line, NO_ENVIRONMENT, {
    rawQuotes: true,
    rawEscapes: true,
    skipUnsetEnv: true,
  });
  const starts: HeredocStart[] = [];
  for (const word of words.ok ? words.value : []) {
    const start = parseHeredocWord(word);
    if (!start.ok) return start;
    if (start.value !== undefined) starts.push(start.value);
  }
  return ok(starts);
}

/** Whether here-documents may belong to an instruction: ADD, COPY, RUN, or ONBUILD of these, not in JSON form. */
export function canHoldHeredocs(node: Pick<AstNode, 'value' | 'child' | 'json'>): boolean {
  const holder = node.value.toLowerCase() === 'onbuild' ? (node.child ?? node) : node;
  return HOLDERS.has(holder.value.toLowerCase()) && !holder.json;
}

/** Removes the leading tabs of every line, as `<<-` asks for. */
export function chompTabs(content: string): string {
  return content.replace(/(^|\n)\t+/g, '$1');
}
