import { err, ok, parseJson, type Result } from '../base/index.ts';
import type { EscapeToken, Word } from './ast.ts';
import type { Problem } from './fail.ts';
import { goString, isSpace, skipSpace } from './go-text.ts';
import type { MappedText } from './mapped-text.ts';
import { FIRST_BLANKS } from './split-command.ts';
import { blankWords, type PlacedWord, quotedWords } from './words.ts';

/** Arguments of an instruction. */
export interface Args {
  readonly args: readonly Word[];
  readonly json: boolean;
}

type Grammar = (rest: MappedText, escapeToken: EscapeToken) => Result<Args, Problem>;

const plain = (args: readonly Word[]): Result<Args, Problem> => ok({ args, json: false });

/** The rest as one argument. */
const text: Grammar = (rest) =>
  plain(rest.text === '' ? [] : [{ value: rest.text, span: rest.span() }]);

const blanks: Grammar = (rest) => plain(blankWords(rest));

const quoted: Grammar = (rest, escapeToken) => plain(quotedWords(rest, escapeToken));

/** A JSON array, or what `otherwise` makes of the text. */
const jsonOr =
  (otherwise: Grammar): Grammar =>
  (rest, escapeToken) => {
    const json = jsonWords(rest);
    if (json === undefined) return otherwise(rest, escapeToken);
    return json.ok ? ok({ args: json.value, json: true }) : json;
  };

/** `NAME=value ...`, or the legacy `NAME the rest`; three arguments a pair. */
const nameValues =
  (keyword: string): Grammar =>
  (rest, escapeToken) => {
    const words = quotedWords(rest, escapeToken);
    const [first] = words;
    if (first === undefined) return plain([]);
    if (!first.value.includes('=')) return legacyPair(rest, keyword);
    const args: Word[] = [];
    for (const word of words) {
      const equals = word.value.indexOf('=');
      if (equals === -1) {
        const message = `Syntax error - can't find = in ${goString(word.value)}. Must be of the form: name=value`;
        return err({ message, span: word.span, code: 'DF008' });
      }
      args.push(...splitPair(rest, word, equals));
    }
    return plain(args);
  };

/** Nothing but a dangling escape character can be missing from a word, so its `=` stands where it is found. */
function splitPair(rest: MappedText, word: PlacedWord, equals: number): Word[] {
  const from = word.at;
  return [
    { value: word.value.slice(0, equals), span: rest.span(from, from + equals) },
    {
      value: word.value.slice(equals + 1),
      span: rest.span(from + equals + 1, from + word.value.length),
    },
    { value: '=', span: rest.span(from + equals, from + equals + 1) },
  ];
}

function legacyPair(rest: MappedText, keyword: string): Result<Args, Problem> {
  const blank = FIRST_BLANKS.exec(rest.text);
  if (blank === null) {
    return err({
      message: `${keyword} must have two arguments`,
      span: rest.span(),
      code: 'DF008',
      help: `write ${keyword} ${rest.text}=<value>`,
    });
  }
  const valueAt = blank.index + blank[0].length;
  return plain([
    { value: rest.text.slice(0, blank.index), span: rest.span(0, blank.index) },
    { value: rest.text.slice(valueAt), span: rest.span(valueAt) },
    { value: '', span: rest.span(blank.index, blank.index) },
  ]);
}

/** A type word, then JSON or text. */
const health: Grammar = (rest, escapeToken) => {
  let end = 0;
  while (end < rest.text.length && !isSpace(rest.text.charAt(end))) end++;
  if (end === 0) return plain([]);
  const type = { value: rest.text.slice(0, end), span: rest.span(0, end) };
  const command = jsonOr(text)(rest.slice(skipSpace(rest.text, end)), escapeToken);
  return command.ok
    ? ok({ args: [type, ...command.value.args], json: command.value.json })
    : command;
};

const GRAMMARS: ReadonlyMap<string, Grammar> = new Map([
  ['add', jsonOr(blanks)],
  ['arg', quoted],
  ['cmd', jsonOr(text)],
  ['copy', jsonOr(blanks)],
  ['entrypoint', jsonOr(text)],
  ['env', nameValues('ENV')],
  ['expose', blanks],
  ['from', blanks],
  ['healthcheck', health],
  ['label', nameValues('LABEL')],
  ['maintainer', text],
  ['run', jsonOr(text)],
  ['shell', jsonOr(text)],
  ['stopsignal', text],
  ['user', text],
  ['volume', jsonOr(blanks)],
  ['workdir', text],
]);

/** Splits the arguments of an instruction; an unknown keyword has one empty argument. ONBUILD is the caller's business. */
export function parseArgs(
  keyword: string,
  rest: MappedText,
  escapeToken: EscapeToken,
): Result<Args, Problem> {
  const grammar = GRAMMARS.get(keyword.toLowerCase());
  return grammar === undefined
    ? plain([{ value: '', span: rest.span(0, 0) }])
    : grammar(rest, escapeToken);
}

/** Go's encoding/json refuses to decode what is nested deeper, so that it is no JSON but a shell's text. */
const GO_MAX_DEPTH = 10_000;

/** The strings of a JSON array, undefined when the text is no JSON array. */
function jsonWords(rest: MappedText): Result<Word[], Problem> | undefined {
  const start = skipSpace(rest.text);
  if (rest.text.charAt(start) !== '[') return undefined;
  const parsed = parseJson(rest.text.slice(start), GO_MAX_DEPTH);
  if (!parsed.ok || !Array.isArray(parsed.value)) return undefined;
  const items: readonly unknown[] = parsed.value;
  // Go refuses to decode a number that does not fit, which makes the whole text no JSON.
  if (items.some((item) => typeof item === 'number' && !Number.isFinite(item))) return undefined;
  const words: Word[] = [];
  let at = start + 1;
  for (const item of items) {
    if (typeof item !== 'string') {
      const message = 'when using JSON array syntax, arrays must be comprised of strings only';
      return err({ message, span: rest.span(start), code: 'DF009' });
    }
    const open = rest.text.indexOf('"', at);
    at = closingQuote(rest.text, open) + 1;
    words.push({ value: item.toWellFormed(), span: rest.span(open, at) });
  }
  return ok(words);
}

/** The rest of a string and its closing quote. */
const REST_OF_STRING = /(?:[^"\\]|\\.)*"/y;

/** `open` is the index of the opening quote of a string in valid JSON. */
function closingQuote(json: string, open: number): number {
  REST_OF_STRING.lastIndex = open + 1;
  return REST_OF_STRING.test(json) ? REST_OF_STRING.lastIndex - 1 : open;
}
