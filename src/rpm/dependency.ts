import { compareEvr, type Evr, evrText, parseEvr } from './evr.ts';

/** How a dependency restricts a version: any of `<`, `=`, `>`. */
export interface Bound {
  readonly less: boolean;
  readonly equal: boolean;
  readonly greater: boolean;
  readonly evr: Evr;
}

/** A name with an optional restriction of its version: what packages provide, and most of what they require. */
export interface Capability {
  readonly kind: 'name';
  readonly name: string;
  readonly bound: Bound | undefined;
}

/** A rich (boolean) dependency (rpm-dependencies(7), "Boolean dependencies"). */
export interface Rich {
  readonly kind: 'and' | 'or' | 'with' | 'without' | 'if' | 'unless';
  readonly left: Dependency;
  readonly right: Dependency;
  /** The `else` branch of `if` and `unless`. */
  readonly otherwise?: Dependency;
}

/** What a package may require, conflict with, recommend or supplement. */
export type Dependency = Capability | Rich;

const OPERATORS: Readonly<Record<string, Omit<Bound, 'evr'>>> = {
  '<': { less: true, equal: false, greater: false },
  '<=': { less: true, equal: true, greater: false },
  '=': { less: false, equal: true, greater: false },
  '>=': { less: false, equal: true, greater: true },
  '>': { less: false, equal: false, greater: true },
};

/** The flags of rpm-md (`LT`, `LE`, `EQ`, `GE`, `GT`). */
const FLAGS: Readonly<Record<string, string>> = { LT: '<', LE: '<=', EQ: '=', GE: '>=', GT: '>' };

/** A capability of plain parts, as in rpm-md's `rpm:entry`; undefined where flags or version cannot be meant. */
export function capability(name: string, flags = '', evr?: Evr): Capability | undefined {
  if (flags === '') return { kind: 'name', name, bound: undefined };
  const operator = OPERATORS[FLAGS[flags] ?? flags];
  return operator === undefined || evr === undefined
    ? undefined
    : { kind: 'name', name, bound: { ...operator, evr } };
}

/**
 * Whether what is provided fulfils what is asked for: the ranges of versions meet. A name without a version stands for every
 * version, on either side (rpm-dependencies(7)).
 */
export function meets(provided: Bound | undefined, asked: Bound | undefined): boolean {
  if (provided === undefined || asked === undefined) return true;
  if ((provided.less && asked.less) || (provided.greater && asked.greater)) return true;
  const order = compareEvr(provided.evr, asked.evr);
  if (order < 0) return asked.less || provided.greater;
  if (order > 0) return asked.greater || provided.less;
  return provided.equal && asked.equal;
}

/** How deep rich dependencies may be nested. */
const MAX_DEPTH = 16;

/** Reads a dependency as spec files and rpm-md write it: `name`, `name >= 1:2-3` or a rich one in parentheses. */
export function parseDependency(text: string): Dependency | undefined {
  const tokens = tokenise(text);
  const reader = { tokens, at: 0 };
  const dependency = readDependency(reader, 0);
  return dependency !== undefined && reader.at === tokens.length ? dependency : undefined;
}

/** Parentheses within a name, as in `perl(Foo)` or `libc.so.6()(64bit)`, belong to it. */
function tokenise(text: string): readonly string[] {
  const tokens: string[] = [];
  for (let at = 0; at < text.length; ) {
    const c = text[at] ?? '';
    if (/\s/.test(c)) {
      at++;
      continue;
    }
    if (c === '(' || c === ')') {
      tokens.push(c);
      at++;
      continue;
    }
    const end = wordEnd(text, at);
    tokens.push(text.slice(at, end));
    at = end;
  }
  return tokens;
}

function wordEnd(text: string, from: number): number {
  let depth = 0;
  let at = from;
  for (; at < text.length; at++) {
    const c = text[at] ?? '';
    if (/\s/.test(c)) break;
    if (c === '(') depth++;
    if (c === ')' && --depth < 0) break;
  }
  return at;
}

interface Reader {
  readonly tokens: readonly string[];
  at: number;
}

function readDependency(reader: Reader, depth: number): Dependency | undefined {
  if (depth > MAX_DEPTH) return undefined;
  if (reader.tokens[reader.at] !== '(') return readName(reader);
  reader.at++;
  const first = readDependency(reader, depth + 1);
  const whole = first === undefined ? undefined : readChain(reader, first, depth);
  if (whole === undefined || reader.tokens[reader.at] !== ')') return undefined;
  reader.at++;
  return whole;
}

const CHAINED = ['and', 'or', 'with'] as const;
const PAIRED = ['if', 'unless', 'without'] as const;

/** Only equal operators are chained; `if` and `unless` may have an `else` (rpm-dependencies(7), "Nesting"). */
function readChain(reader: Reader, first: Dependency, depth: number): Dependency | undefined {
  const word = reader.tokens[reader.at];
  if (word === ')') return first;
  const chained = CHAINED.find((k) => k === word);
  if (chained !== undefined) {
    const parts = [first];
    while (reader.tokens[reader.at] === chained) {
      reader.at++;
      const next = readDependency(reader, depth + 1);
      if (next === undefined) return undefined;
      parts.push(next);
    }
    return parts.reduceRight((right, left) => ({ kind: chained, left, right }));
  }
  const kind = PAIRED.find((k) => k === word);
  if (kind === undefined) return undefined;
  reader.at++;
  const right = readDependency(reader, depth + 1);
  if (right === undefined) return undefined;
  if (kind === 'without' || reader.tokens[reader.at] !== 'else')
    return { kind, left: first, right };
  reader.at++;
  const otherwise = readDependency(reader, depth + 1);
  return otherwise === undefined ? undefined : { kind, left: first, right, otherwise };
}

function readName(reader: Reader): Capability | undefined {
  const name = reader.tokens[reader.at];
  if (name === undefined || name === ')' || OPERATORS[name] !== undefined) return undefined;
  reader.at++;
  const operator = reader.tokens[reader.at] ?? '';
  if (OPERATORS[operator] === undefined) return capability(name);
  const evr = parseEvr(reader.tokens[reader.at + 1] ?? '');
  reader.at += 2;
  return capability(name, operator, evr);
}

/** A dependency as it is written. */
export function dependencyText(dependency: Dependency): string {
  if (dependency.kind !== 'name') {
    const { kind, left, right, otherwise } = dependency;
    const tail = otherwise === undefined ? '' : ` else ${dependencyText(otherwise)}`;
    return `(${dependencyText(left)} ${kind} ${dependencyText(right)}${tail})`;
  }
  const { name, bound } = dependency;
  if (bound === undefined) return name;
  const sign = `${bound.less ? '<' : ''}${bound.greater ? '>' : ''}${bound.equal ? '=' : ''}`;
  return `${name} ${sign} ${evrText(bound.evr)}`;
}

/** Every name that a dependency speaks of. */
export function* namesIn(dependency: Dependency): Iterable<Capability> {
  if (dependency.kind === 'name') {
    yield dependency;
    return;
  }
  yield* namesIn(dependency.left);
  yield* namesIn(dependency.right);
  if (dependency.otherwise !== undefined) yield* namesIn(dependency.otherwise);
}
