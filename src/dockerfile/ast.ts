import type { Failure, SourceFile, Span } from '../base/index.ts';

/** First and last line of something, 1-based, both inclusive. */
export type LineRange = readonly [first: number, last: number];

/** A piece of an instruction after quotes, escapes or JSON were resolved as its grammar says, and where it stands. */
export interface Word {
  readonly value: string;
  /** Covers the word as written, with its quotes and with any line continuation inside it. */
  readonly span: Span;
}

/** A here-document attached to an instruction. */
export interface Heredoc {
  readonly name: string;
  /** File descriptor in front of `<<`; 0 when none is written. */
  readonly fd: number;
  /** The terminator is written without quotes, so COPY and ADD expand variables in the content. */
  readonly expand: boolean;
  /** Written `<<-`: leading tabs are removed. */
  readonly chomp: boolean;
  /** The body as written, line ends included, tabs not yet removed. */
  readonly content: string;
  readonly span: Span;
}

/** One instruction, split by the grammar of its keyword but not yet checked (BuildKit `parser.Node`). */
export interface AstNode {
  /** The keyword as written. */
  readonly value: string;
  readonly keyword: Span;
  /** Flags with quotes removed, each starting with `--`. */
  readonly flags: readonly Word[];
  /** Arguments. ENV and LABEL: three per pair (name, value, `=` or nothing for the legacy form). */
  readonly args: readonly Word[];
  /** The instruction inside ONBUILD. */
  readonly child?: AstNode;
  /** The arguments are a JSON array. */
  readonly json: boolean;
  readonly heredocs: readonly Heredoc[];
  /** The logical line: continuations joined, comments between them dropped. */
  readonly original: string;
  /** Here-documents included. */
  readonly lines: LineRange;
  /** From the keyword to the end of the logical line, without here-document bodies. */
  readonly span: Span;
  /** Comment lines directly above, without `#` and surrounding blanks. */
  readonly prevComment: readonly string[];
}

/** The instructions of a file in order. */
export interface Ast {
  readonly children: readonly AstNode[];
  readonly lines: LineRange;
}

/** A parser directive at the top of a file (`# syntax=...`). */
export interface Directive {
  readonly name: DirectiveName;
  readonly value: string;
  readonly line: number;
  readonly span: Span;
}

/** The directives that exist. */
export type DirectiveName = 'syntax' | 'escape' | 'check';

/** The escape character: what continues a line and escapes a character. */
export type EscapeToken = '\\' | '`';

/** A remark of the line parser itself (empty continuation lines). */
export interface ParserWarning {
  readonly short: string;
  readonly detail: readonly string[];
  readonly url: string;
  readonly lines: LineRange;
  readonly span: Span;
}

/** A parsed file. */
export interface ParsedDockerfile {
  readonly file: SourceFile;
  readonly ast: Ast;
  readonly escapeToken: EscapeToken;
  readonly directives: { readonly [name in DirectiveName]?: Directive };
  readonly warnings: readonly ParserWarning[];
}

/**
 * A failure in a Dockerfile: `message` is BuildKit's text. `locations` are the line ranges that BuildKit reports, one list
 * per nesting level; `places` are the exact spans.
 */
export interface DockerfileFailure extends Failure {
  readonly locations: readonly (readonly LineRange[])[];
}
