import type { EscapeToken, Word } from './ast.ts';
import { isSpace, skipPlain } from './go-text.ts';
import type { MappedText } from './mapped-text.ts';

/** A word and where it starts in the text it was taken from. */
export interface PlacedWord extends Word {
  readonly at: number;
}

/** Words separated by white space, where quotes and the escape character protect it; both stay in the words. */
export function quotedWords(rest: MappedText, escapeToken: EscapeToken): PlacedWord[] {
  const { text } = rest;
  const words: PlacedWord[] = [];
  let at = 0;
  while (at < text.length) {
    if (isSpace(text.charAt(at))) {
      at++;
      continue;
    }
    const start = at;
    const end = wordEnd(text, start, escapeToken);
    // An escape character at the very end is dropped, wherever it stands.
    const cut = end.danglingEscape ? end.at - 1 : end.at;
    const value = text.slice(start, cut);
    if (cut > start) words.push({ value, at: start, span: rest.span(start, end.at) });
    at = end.at;
  }
  return words;
}

function wordEnd(
  text: string,
  start: number,
  escapeToken: EscapeToken,
): { at: number; danglingEscape: boolean } {
  let quote = '';
  let at = start;
  for (; at < text.length; at++) {
    at = skipPlain(text, at);
    const char = text.charAt(at);
    if (quote === '') {
      if (isSpace(char)) break;
      if (char === '"' || char === "'") quote = char;
    } else if (char === quote) {
      quote = '';
    }
    if (char === escapeToken && quote !== "'") {
      if (at + 1 === text.length) return { at: text.length, danglingEscape: true };
      at++;
    }
  }
  return { at: Math.min(at, text.length), danglingEscape: false };
}

/** Words separated by blanks; quotes mean nothing. */
export function blankWords(rest: MappedText): Word[] {
  const { text } = rest;
  if (text === '') return [];
  const words: Word[] = [];
  for (let start = 0; ; ) {
    let end = start;
    while (end < text.length && !isBlank(text.charCodeAt(end))) end++;
    words.push({ value: text.slice(start, end), span: rest.span(start, end) });
    if (end === text.length) return words;
    start = end + 1;
    while (isBlank(text.charCodeAt(start))) start++;
  }
}

/** Tab, vertical tab, form feed, carriage return and space. */
const isBlank = (code: number): boolean =>
  code === 0x20 || (code >= 0x09 && code <= 0x0d && code !== 0x0a);
