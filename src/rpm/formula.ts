import type { Dependency } from './dependency.ts';
import type { Pool } from './pool.ts';

/**
 * A rich dependency over packages: `true`, `false`, or blocks of literals (a package's number, negative when it must be
 * absent; sorted). In `cnf` one literal of every block must hold, in `dnf` all literals of one block.
 */
export type Formula = boolean | readonly (readonly number[])[];

type Form = 'cnf' | 'dnf';

/** More blocks than this are not made: such a dependency cannot be met. */
const MAX_BLOCKS = 4096;

/** What must hold for a dependency to be met. */
export function conditionsOf(pool: Pool, dependency: Dependency): Formula {
  return formula(pool, dependency, 'cnf');
}

/** What must hold for a dependency not to be met. */
export function conditionsAgainst(pool: Pool, dependency: Dependency): Formula {
  return negated(formula(pool, dependency, 'dnf'));
}

/** Whether a dependency speaks of more than one package at a time. */
export function isConditional(dependency: Dependency): boolean {
  switch (dependency.kind) {
    case 'and':
    case 'if':
    case 'unless':
      return true;
    case 'or':
      return isConditional(dependency.left) || isConditional(dependency.right);
    default:
      return false;
  }
}

function formula(pool: Pool, dependency: Dependency, form: Form): Formula {
  const other: Form = form === 'cnf' ? 'dnf' : 'cnf';
  const of = (d: Dependency): Formula => formula(pool, d, form);
  const not = (d: Dependency): Formula => negated(formula(pool, d, other));
  const or = (a: Formula, b: Formula): Formula => either(a, b, form);
  const and = (a: Formula, b: Formula): Formula => both(a, b, form);
  if (!isConditional(dependency) && dependency.kind !== 'or') {
    if (dependency.kind === 'name' && pool.isBuiltIn(dependency)) return true;
    const ids = pool.providers(dependency);
    if (ids.length === 0) return false;
    return form === 'cnf' ? [ids] : ids.map((id) => [id]);
  }
  if (dependency.kind === 'name') throw new Error('a name is no condition');
  const { kind, left, right, otherwise } = dependency;
  switch (kind) {
    case 'and':
      return and(of(left), of(right));
    case 'if': {
      const plain = or(of(left), not(right));
      return otherwise === undefined ? plain : and(plain, or(of(right), of(otherwise)));
    }
    case 'unless': {
      const plain = and(of(left), not(right));
      return otherwise === undefined ? plain : or(plain, and(of(right), of(otherwise)));
    }
    default:
      return or(of(left), of(right));
  }
}

function negated(f: Formula): Formula {
  if (typeof f === 'boolean') return !f;
  return f.map((block) => block.map((literal) => -literal).reverse());
}

function either(a: Formula, b: Formula, form: Form): Formula {
  if (a === true || b === true) return true;
  if (a === false) return b;
  if (b === false) return a;
  return form === 'cnf' ? distribute(a, b, true) : [...a, ...b];
}

function both(a: Formula, b: Formula, form: Form): Formula {
  if (a === false || b === false) return false;
  if (a === true) return b;
  if (b === true) return a;
  return form === 'dnf' ? distribute(a, b, false) : [...a, ...b];
}

/** Every block of one with every block of the other; blocks with a literal and its negation decide nothing. */
function distribute(
  a: readonly (readonly number[])[],
  b: readonly (readonly number[])[],
  whenEmpty: boolean,
): Formula {
  if (a.length * b.length > MAX_BLOCKS) return false;
  const blocks: number[][] = [];
  for (const x of a)
    for (const y of b) {
      const block = [...new Set([...x, ...y])].sort((p, q) => p - q);
      if (!block.some((literal) => literal > 0 && block.includes(-literal))) blocks.push(block);
    }
  return blocks.length === 0 ? whenEmpty : blocks;
}
