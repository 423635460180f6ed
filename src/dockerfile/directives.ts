import { isRecord, parseJson, type SourceFile, type Span } from '../base/index.ts';
import type { Directive, DirectiveName } from './ast.ts';
import { skipSpace } from './go-text.ts';

const KEY = /^([a-zA-Z][a-zA-Z0-9]*)[\t\n\f\r ]*=/;
const BLANKS = '\t\n\f\r ';

const NAMES: Readonly<Record<string, DirectiveName>> = {
  syntax: 'syntax',
  escape: 'escape',
  check: 'check',
};

/** A line that was tried as a directive. */
export type DirectiveLine =
  | { readonly kind: 'directive'; readonly name: DirectiveName; readonly value: string }
  | { readonly kind: 'repeated'; readonly name: DirectiveName }
  | { readonly kind: 'none' };

const NONE = { kind: 'none' } as const;

/**
 * Recognises parser directives: they stand at the top, and the first line that is none ends them for good
 * (Dockerfile reference, "Parser directives").
 */
export class DirectiveReader {
  readonly #prefix: string;
  readonly #seen = new Set<DirectiveName>();
  #done = false;

  /** `prefix` starts a directive: `#`, `//`, or nothing inside a comment. */
  constructor(prefix = '#') {
    this.#prefix = prefix;
  }

  get done(): boolean {
    return this.#done;
  }

  read(line: string): DirectiveLine {
    if (this.#done) return NONE;
    const body = line.startsWith(this.#prefix)
      ? line.slice(skipSpace(line, this.#prefix.length))
      : '';
    const found = KEY.exec(body);
    const key = found?.[1]?.toLowerCase() ?? '';
    const name = Object.hasOwn(NAMES, key) ? NAMES[key] : undefined;
    const value = valueOf(body.slice(found?.[0].length ?? 0));
    if (name === undefined || value === '') {
      this.#done = true;
      return NONE;
    }
    if (this.#seen.has(name)) return { kind: 'repeated', name };
    this.#seen.add(name);
    return { kind: 'directive', name, value };
  }
}

/** The value without surrounding blanks; of nothing but blanks the last one. */
function valueOf(text: string): string {
  let [start, end] = [0, text.length];
  while (start < end - 1 && BLANKS.includes(text.charAt(start))) start++;
  while (end > start + 1 && BLANKS.includes(text.charAt(end - 1))) end--;
  return text.slice(start, end);
}

/** The syntax image of a file: the first word and the whole value of the directive. */
export interface SyntaxDirective {
  readonly image: string;
  readonly commandLine: string;
  readonly line: number;
  readonly span: Span;
}

/** All directives at the top of a text; a `#!` line in front is skipped. */
export function readDirectives(
  text: string,
  prefix: '#' | '//' = '#',
): { readonly [name in DirectiveName]?: Directive } {
  const found: { [name in DirectiveName]?: Directive } = {};
  const reader = new DirectiveReader(prefix);
  let { at, line } = afterShebang(text);
  while (at < text.length && !reader.done) {
    const newline = text.indexOf('\n', at);
    const end = newline === -1 ? text.length : newline;
    const raw = text.slice(at, text.charAt(end - 1) === '\r' && end > at ? end - 1 : end);
    const result = reader.read(raw);
    if (result.kind === 'repeated') break;
    line++;
    if (result.kind === 'directive') {
      const { name, value } = result;
      found[name] = { name, value, line, span: { offset: at, length: raw.length } };
    }
    at = end + 1;
  }
  return found;
}

/** Which frontend a file asks for: `# syntax=`, `// syntax=` or a JSON object with `syntax` (BuildKit `DetectSyntax`). */
export function detectSyntax(file: SourceFile): SyntaxDirective | undefined {
  for (const prefix of ['#', '//'] as const) {
    const found = readDirectives(file.text, prefix).syntax;
    if (found !== undefined) {
      const { value, line, span } = found;
      return { image: value.split(' ', 1)[0] ?? '', commandLine: value, line, span };
    }
  }
  const { at, line } = afterShebang(file.text);
  const parsed = parseJson(file.text.slice(at));
  if (!parsed.ok || !isRecord(parsed.value)) return undefined;
  const value = parsed.value['syntax'];
  if (typeof value !== 'string') return undefined;
  return { image: value, commandLine: value, line, span: { offset: at, length: 0 } };
}

const OWN_SYNTAX = /^(?:docker\.io\/)?docker\/dockerfile(?:-upstream)?(?:[:@].*)?$/;

/** Whether a syntax image names the language that is built in: any release of Docker's own frontend image. */
export function isOwnSyntax(image: string): boolean {
  return image === 'dockerfile.v0' || OWN_SYNTAX.test(image);
}

function afterShebang(text: string): { at: number; line: number } {
  const at = text.charCodeAt(0) === 0xfeff ? 1 : 0;
  if (!text.startsWith('#!', at)) return { at, line: 0 };
  const newline = text.indexOf('\n', at);
  return { at: newline === -1 ? text.length : newline + 1, line: 1 };
}
