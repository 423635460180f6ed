import type { VersionRelation } from './version.ts';

/** One alternative of a dependency, or one member of Conflicts, Breaks, Replaces or Provides. */
export interface Relation {
  readonly name: string;
  /** `any`, `native` or an architecture behind the colon. */
  readonly arch?: string;
  readonly version?: { readonly relation: VersionRelation; readonly bound: string };
}

/** Alternatives in order of preference: `a | b`. */
export type OrGroup = readonly Relation[];

const ATOM =
  /^([a-zA-Z0-9][a-zA-Z0-9+.-]*)(?::([a-z0-9-]+))?\s*(?:\(\s*(<<|<=|=|>=|>>|<|>)\s*([^\s)]+)\s*\))?\s*(?:\[[^\]]*\])?\s*$/;

/**
 * Parses a relation field (Debian Policy 7.1). Members that are not well-formed are left out and named in `bad`, so that
 * one broken package of a large index hurts only those who need it.
 */
export function parseRelations(field: string, bad?: (member: string) => void): OrGroup[] {
  const groups: OrGroup[] = [];
  for (const member of field.split(',')) {
    const text = member.trim();
    if (text === '') continue;
    const group = text.split('|').map((alternative) => parseAtom(alternative.trim()));
    const whole = group.filter((atom) => atom !== undefined);
    if (whole.length < group.length) bad?.(text);
    else groups.push(whole);
  }
  return groups;
}

function parseAtom(text: string): Relation | undefined {
  const match = ATOM.exec(text);
  if (match === null) return undefined;
  const [, name = '', arch, sign, bound] = match;
  return {
    name,
    ...(arch === undefined ? {} : { arch }),
    ...(sign === undefined || bound === undefined
      ? {}
      : { version: { relation: relationOf(sign), bound } }),
  };
}

/** `<` and `>` are the deprecated spellings of `<=` and `>=` (Debian Policy 7.1). */
function relationOf(sign: string): VersionRelation {
  switch (sign) {
    case '<':
      return '<=';
    case '>':
      return '>=';
    case '<<':
    case '<=':
    case '=':
    case '>>':
      return sign;
    default:
      return '>=';
  }
}

/** The text form of a group, as in the control file. */
export function relationText(group: OrGroup): string {
  return group
    .map(
      (r) =>
        `${r.name}${r.arch === undefined ? '' : `:${r.arch}`}${
          r.version === undefined ? '' : ` (${r.version.relation} ${r.version.bound})`
        }`,
    )
    .join(' | ');
}
