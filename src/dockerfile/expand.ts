import type { Result } from '../base/index.ts';
import type { EscapeToken } from './ast.ts';

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

export function expandWord(
  _word: string,
  _env: Environment,
  _options?: ExpandOptions,
): Result<ExpandedWord, string> {
  throw new Error('not written yet');
}
export function expandWords(
  _text: string,
  _env: Environment,
  _options?: ExpandOptions,
): Result<readonly string[], string> {
  throw new Error('not written yet');
}
