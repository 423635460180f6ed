import { err, ok, type Result } from '../base/index.ts';
import type { Word } from './ast.ts';
import type { Problem } from './fail.ts';
import { withSuggestion } from './suggest.ts';

/** What a flag takes: `--x`, `--x=value`, or `--x=value` any number of times. */
export type FlagKind = 'bool' | 'string' | 'strings';

/** Flags that an instruction knows. */
export type FlagTable = Readonly<Record<string, FlagKind>>;

/** Values of the flags of one instruction. */
export class FlagValues {
  readonly #values = new Map<string, Word[]>();

  add(name: string, value: Word): void {
    const values = this.#values.get(name);
    if (values === undefined) this.#values.set(name, [value]);
    else values.push(value);
  }

  /** Names given, in order of first use. */
  get used(): readonly string[] {
    return [...this.#values.keys()];
  }

  all(name: string): readonly Word[] {
    return this.#values.get(name) ?? [];
  }

  text(name: string): string {
    return this.all(name)[0]?.value ?? '';
  }

  /** Undefined when the flag is not given. */
  bool(name: string): boolean | undefined {
    const [value] = this.all(name);
    return value === undefined ? undefined : value.value === 'true';
  }
}

/** Reads the flags of an instruction against what it knows; texts are BuildKit's. */
export function parseFlags(flags: readonly Word[], known: FlagTable): Result<FlagValues, Problem> {
  const values = new FlagValues();
  for (const flag of flags) {
    const equals = flag.value.indexOf('=');
    const written = equals === -1 ? flag.value : flag.value.slice(0, equals);
    const value = equals === -1 ? undefined : flag.value.slice(equals + 1);
    const problem = readFlag(values, { name: written.slice(2), value, flag }, known);
    if (problem !== undefined) return err({ message: problem, span: flag.span, code: 'DF012' });
  }
  return ok(values);
}

interface FlagUse {
  readonly name: string;
  readonly value: string | undefined;
  readonly flag: Word;
}

function readFlag(values: FlagValues, use: FlagUse, known: FlagTable): string | undefined {
  const { name, value, flag } = use;
  const kind = Object.hasOwn(known, name) ? known[name] : undefined;
  if (kind === undefined) {
    const names = Object.keys(known);
    return withSuggestion(`unknown flag: --${name}`, name, names, { caseSensitive: true });
  }
  if (kind !== 'strings' && values.all(name).length > 0)
    return `duplicate flag specified: --${name}`;
  if (kind !== 'bool') {
    if (value === undefined) return `missing a value on flag: --${name}`;
    values.add(name, { value, span: flag.span });
    return undefined;
  }
  if (value === '') return `missing a value on flag: --${name}`;
  const lower = value === undefined ? 'true' : value.toLowerCase();
  if (lower !== 'true' && lower !== 'false')
    return `expecting boolean value for flag --${name}, not: ${value ?? ''}`;
  values.add(name, { value: lower, span: flag.span });
  return undefined;
}
