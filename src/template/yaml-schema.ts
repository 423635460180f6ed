import { type Document, isNode, LineCounter, parseDocument, visit } from 'yaml';
import { z } from 'zod';
import {
  didYouMean,
  err,
  type Failure,
  type FailurePlace,
  failure,
  ok,
  type Result,
  type SourceFile,
  type Span,
  spanOf,
} from '../base/index.ts';

/** A checked document: the value, and where each part of it stands in the text. */
export interface ParsedYaml<T> {
  readonly value: T;
  /** The span of the value at `path`, or of its nearest parent that is written down. */
  readonly span: (path: readonly PropertyKey[]) => Span;
}

/** A document longer than this is refused before it is parsed. */
const MAX_TEXT = 1024 * 1024;
/** Aliases a document may expand to (yaml's own default; stops "billion laughs"). */
const MAX_ALIASES = 100;

/** What a kind of document is called, and the codes of its failures. */
export interface YamlKind {
  readonly name: string;
  /** Text that is no YAML. */
  readonly syntax: string;
  readonly unknownKey: string;
  /** A value of another kind than expected. */
  readonly value: string;
  /** Changes the document's data before it is checked; paths stay what they are. */
  readonly prepare?: (
    data: unknown,
    at: (path: readonly PropertyKey[]) => FailurePlace,
  ) => Result<unknown>;
}

const TEMPLATE: YamlKind = {
  name: 'template',
  syntax: 'TP001',
  unknownKey: 'TP002',
  value: 'TP003',
};

/**
 * Parses YAML 1.2 text and checks it against a schema. Every problem found is reported with its place: TP001 syntax,
 * TP002 unknown key (with the nearest known one), TP003 a value of another kind than expected (or the codes of `kind`).
 */
export function parseYaml<T>(
  file: SourceFile,
  schema: z.ZodType<T>,
  kind: YamlKind = TEMPLATE,
): Result<ParsedYaml<T>> {
  if (file.text.length > MAX_TEXT)
    return err(failure(kind.syntax, 2, `${file.path} is larger than ${MAX_TEXT} characters`));
  const lines = new LineCounter();
  const document = parseDocument(file.text, { lineCounter: lines, stringKeys: true });
  const syntax = document.errors.map((e) =>
    failure(kind.syntax, 2, firstLine(e.message), {
      places: [{ file, span: spanOf(e.pos[0], Math.max(e.pos[0] + 1, e.pos[1])) }],
    }),
  );
  if (syntax.length > 0) return err(joined(syntax));
  const aliases = aliasFailure(file, document, kind);
  if (aliases !== undefined) return err(aliases);
  const span = (path: readonly PropertyKey[]): Span => spanAt(document, path);
  const at = (path: readonly PropertyKey[]): FailurePlace => ({ file, span: span(path) });
  const data: unknown = document.toJS({ maxAliasCount: MAX_ALIASES });
  const prepared = kind.prepare?.(data, at) ?? ok(data);
  if (!prepared.ok) return prepared;
  const checked = schema.safeParse(prepared.value);
  if (checked.success) return ok({ value: checked.data, span });
  return err(
    joined(checked.error.issues.flatMap((issue) => explain(issue, { schema, document, at, kind }))),
  );
}

/** One failure that carries the others. */
export function joined(all: readonly Failure[]): Failure {
  const [first, ...also] = all;
  if (first === undefined) throw new Error('joined() needs a failure');
  return also.length === 0 ? first : { ...first, also };
}

/** An alias that points at a node around itself would make an endless value; one that expands too far is refused. */
function aliasFailure(file: SourceFile, document: Document, kind: YamlKind): Failure | undefined {
  let count = 0;
  let where: Span | undefined;
  visit(document, {
    Alias(_, node) {
      if (++count > MAX_ALIASES || node.resolve(document) === undefined)
        where ??= spanOf(node.range?.[0] ?? 0, node.range?.[1] ?? 1);
    },
  });
  return where === undefined
    ? undefined
    : failure(kind.syntax, 2, 'too many or unresolved aliases', {
        places: [{ file, span: where }],
      });
}

interface ExplainContext {
  readonly schema: z.ZodType;
  readonly document: Document;
  readonly at: (path: readonly PropertyKey[]) => FailurePlace;
  readonly kind: YamlKind;
}

function explain(issue: z.core.$ZodIssue, context: ExplainContext): Failure[] {
  const name = pathText(issue.path);
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(context.schema, issue.path);
    return issue.keys.map((key) => {
      const near = didYouMean(key, known);
      const help =
        near === undefined ? `known keys: ${known.join(', ')}` : `did you mean "${near}"?`;
      const span = keySpan(context.document, [...issue.path, key]);
      const place = span === undefined ? context.at(issue.path) : { ...context.at([]), span };
      return failure(
        context.kind.unknownKey,
        2,
        `unknown key "${key}"${name === '' ? '' : ` in ${name}`}`,
        {
          help,
          places: [place],
        },
      );
    });
  }
  const missing = issue.code === 'invalid_type' && issue.message.includes('received undefined');
  const text = missing ? 'is required' : messageOf(issue);
  return [
    failure(context.kind.value, 2, `${name === '' ? context.kind.name : name}: ${text}`, {
      ...helpOf(issue),
      places: [context.at(issue.path)],
    }),
  ];
}

/** Kinds of values in the words of a YAML file. */
const KINDS: Readonly<Record<string, string>> = {
  object: 'keys with values',
  record: 'names with values',
  array: 'a list',
  string: 'a text',
  number: 'a number',
  boolean: 'true or false',
  null: 'nothing',
};

function messageOf(issue: z.core.$ZodIssue): string {
  if (issue.code === 'too_small' && issue.origin === 'array') return 'expected one item at least';
  if (issue.code === 'invalid_value') {
    const values = issue.values.map((value) => JSON.stringify(value)).join(', ');
    return `expected ${issue.values.length === 1 ? '' : 'one of '}${values}`;
  }
  const kinds = /^Invalid input: expected (\w+), received (\w+)$/.exec(issue.message);
  const [expected, got] = [KINDS[kinds?.[1] ?? ''], KINDS[kinds?.[2] ?? '']];
  return expected !== undefined && got !== undefined
    ? `expected ${expected}, got ${got}`
    : lowerFirst(issue.message.replace(/^Invalid (?:input|option): /, ''));
}

/** One value where a list is meant is the usual slip. */
function helpOf(issue: z.core.$ZodIssue): { readonly help?: string } {
  return issue.code === 'invalid_type' &&
    issue.expected === 'array' &&
    issue.message.endsWith('received string')
    ? { help: 'write it in brackets: [VALUE]' }
    : {};
}

/** The keys that the schema knows at a path; empty where it takes any. */
function keysAt(schema: unknown, path: readonly PropertyKey[]): readonly string[] {
  const inner = unwrap(schema);
  const [head, ...rest] = path;
  if (inner instanceof z.ZodObject)
    return head === undefined
      ? Object.keys(inner.shape)
      : keysAt((inner.shape as Readonly<Record<string, unknown>>)[String(head)], rest);
  if (inner instanceof z.ZodArray) return keysAt(inner.element, rest);
  if (inner instanceof z.ZodRecord && head !== undefined) return keysAt(inner.valueType, rest);
  if (inner instanceof z.ZodUnion)
    return (
      inner.options.map((option) => keysAt(option, path)).find((keys) => keys.length > 0) ?? []
    );
  return [];
}

function unwrap(schema: unknown): unknown {
  let inner = schema;
  while (
    inner instanceof z.ZodOptional ||
    inner instanceof z.ZodDefault ||
    inner instanceof z.ZodReadonly
  )
    inner = inner.unwrap();
  return inner instanceof z.ZodPipe ? unwrap(inner.in) : inner;
}

function spanAt(document: Document, path: readonly PropertyKey[]): Span {
  for (let length = path.length; length >= 0; length--) {
    const node = document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) return trimmed(node.range[0], node.range[1]);
  }
  return spanOf(0, 1);
}

const trimmed = (from: number, to: number): Span => spanOf(from, Math.max(from + 1, to));

/** The span of the key itself, for a key that should not be there. */
function keySpan(document: Document, path: readonly PropertyKey[]): Span | undefined {
  const parent = document.getIn(path.slice(0, -1), true);
  const wanted = String(path.at(-1));
  let span: Span | undefined;
  if (!isNode(parent)) return undefined;
  visit(parent, {
    Pair(_, pair) {
      if (span === undefined && isNode(pair.key) && String(pair.key) === wanted && pair.key.range)
        span = trimmed(pair.key.range[0], pair.key.range[1]);
    },
  });
  return span;
}

const firstLine = (text: string): string =>
  lowerFirst((text.split('\n')[0] ?? '').replace(/ at line \d+, column \d+:?$/, ''));
const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1);

function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((part, i) =>
      typeof part === 'number' ? `[${part}]` : `${i === 0 ? '' : '.'}${String(part)}`,
    )
    .join('');
}
