import type { EscapeToken, Word } from './ast.ts';
import { isSpace, skipPlain, skipSpace, skipSpaceBack } from './go-text.ts';
import type { MappedText } from './mapped-text.ts';

/** The first white space of those that separate words of a command; not all of Unicode's. */
export const FIRST_BLANKS = /[\t\v\f\r ]+/;

/** An instruction cut into keyword, flags and the text behind them. */
export interface SplitCommand {
  readonly keyword: Word;
  readonly flags: readonly Word[];
  /** Without surrounding white space. */
  readonly rest: MappedText;
}

/** Cuts a logical line; `line` has text. */
export function splitCommand(line: MappedText, escapeToken: EscapeToken): SplitCommand {
  const start = skipSpace(line.text);
  const trimmed = line.slice(start, Math.max(start, skipSpaceBack(line.text)));
  const blank = FIRST_BLANKS.exec(trimmed.text);
  const end = blank === null ? trimmed.text.length : blank.index;
  const keyword = { value: trimmed.text.slice(0, end), span: trimmed.span(0, end) };
  const behind = trimmed.slice(blank === null ? end : blank.index + blank[0].length);
  const { flags, restAt } = readFlags(behind, escapeToken);
  const restStart = skipSpace(behind.text, restAt);
  const restEnd = Math.max(restStart, skipSpaceBack(behind.text));
  return { keyword, flags, rest: behind.slice(restStart, restEnd) };
}

interface Flags {
  readonly flags: readonly Word[];
  readonly restAt: number;
}

/** Words starting with `--`; a bare `--` ends them. Quotes group and vanish, the escape character takes the next one. */
function readFlags(line: MappedText, escapeToken: EscapeToken): Flags {
  if (!line.text.startsWith('--', skipSpace(line.text))) return { flags: [], restAt: 0 };
  const bytes = bytesOf(line.text);
  const flags: Word[] = [];
  let at = 0;
  for (;;) {
    at = skipSpace(bytes.text, at);
    if (at === bytes.text.length || !bytes.text.startsWith('--', at)) break;
    const word = readFlag(bytes.text, at, escapeToken);
    const span = line.span(bytes.offsetOf(at), bytes.offsetOf(word.end));
    at = word.end;
    if (word.value === '--') break;
    flags.push({ value: word.value, span });
  }
  return { flags, restAt: bytes.offsetOf(at) };
}

function readFlag(
  text: string,
  start: number,
  escapeToken: EscapeToken,
): { value: string; end: number } {
  let value = '';
  let quote = '';
  let at = start;
  for (; at < text.length; at++) {
    const plainEnd = skipPlain(text, at);
    value += text.slice(at, plainEnd);
    at = plainEnd;
    if (at === text.length) break;
    let char = text.charAt(at);
    if (quote === '' && isSpace(char)) break;
    if (quote === '' && (char === '"' || char === "'")) {
      quote = char;
      continue;
    }
    if (char === quote) {
      quote = '';
      continue;
    }
    if (char === escapeToken) {
      if (at + 1 === text.length) continue;
      at++;
      char = text.charAt(at);
    }
    value += char;
  }
  return { value, end: at };
}

/**
 * BuildKit reads flags byte by byte and takes every byte for a character of its own, so text outside ASCII comes out as
 * Latin-1 of its UTF-8 form. What flags say enters cache keys; therefore the same happens here.
 */
function bytesOf(text: string): { text: string; offsetOf: (byte: number) => number } {
  if (Buffer.byteLength(text) === text.length) return { text, offsetOf: (byte) => byte };
  const offsets: number[] = [];
  let latin = '';
  let at = 0;
  for (const char of text) {
    for (const byte of Buffer.from(char)) {
      latin += String.fromCharCode(byte);
      offsets.push(at);
    }
    at += char.length;
  }
  return { text: latin, offsetOf: (byte) => offsets[byte] ?? text.length };
}
