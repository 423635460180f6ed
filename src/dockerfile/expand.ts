import { err, ok, type Result } from '../base/index.ts';
import type { EscapeToken } from './ast.ts';
import { goString } from './go-text.ts';
import { ShellLexer } from './shell-lexer.ts';
import { WordSplitter } from './word-splitter.ts';

/** Where variables are looked up; a `ReadonlyMap<string, string>` will do. */
export interface Environment {
  get(name: string): string | undefined;
}

/** How words are processed (BuildKit `shell.Lex`). */
export interface ExpandOptions {
  /** Default `\`. */
  readonly escapeToken?: EscapeToken;
  /** Keep quote characters. */
  readonly rawQuotes?: boolean;
  /** Keep escape characters. */
  readonly rawEscapes?: boolean;
  /** Leave references to unset variables as they are written. */
  readonly skipUnsetEnv?: boolean;
  /** Quotes are ordinary characters (here-document bodies). */
  readonly skipProcessQuotes?: boolean;
}

/** A word with its variables replaced. */
export interface ExpandedWord {
  readonly value: string;
  /** Variables that were found, in order of first use. */
  readonly matched: ReadonlySet<string>;
  /** Variables that were not set, in order of first use. */
  readonly unmatched: ReadonlySet<string>;
}

const NOTHING: ReadonlySet<string> = new Set();
const SPECIAL = /[$'"\\`<\ufeff]/;

/**
 * Replaces variables in a word and removes quotes and escape characters (Dockerfile reference, "Environment
 * replacement"; BuildKit `shell.Lex.ProcessWordWithMatches`). The error is BuildKit's text.
 */
export function expandWord(
  word: string,
  env: Environment,
  options: ExpandOptions = {},
): Result<ExpandedWord, string> {
  if (!SPECIAL.test(word)) return ok({ value: word, matched: NOTHING, unmatched: NOTHING });
  const lexer = new ShellLexer(word, env, options);
  const value = lexer.run();
  if (value === undefined) return err(failed(word, lexer));
  return ok({ value, matched: lexer.matched, unmatched: lexer.unmatched });
}

/**
 * The same, and splits what results at white space that was not quoted (BuildKit `shell.Lex.ProcessWords`).
 */
export function expandWords(
  text: string,
  env: Environment,
  options: ExpandOptions = {},
): Result<readonly string[], string> {
  const splitter = new WordSplitter();
  const lexer = new ShellLexer(text, env, options, splitter);
  return lexer.run() === undefined ? err(failed(text, lexer)) : ok(splitter.words());
}

/** Variables that were not set when a word was processed, also where that failed. */
export function unmatchedVariables(
  word: string,
  env: Environment,
  options: ExpandOptions = {},
): ReadonlySet<string> {
  const lexer = new ShellLexer(word, env, options);
  lexer.run();
  return lexer.unmatched;
}

const failed = (source: string, lexer: ShellLexer): string =>
  `failed to process ${goString(source)}: ${lexer.error}`;
