import { err, ok, type Result } from '../base/index.ts';

/** Computes an entry's permission bits (07777) from those it has. */
export type ModeChange = (mode: number, isDir: boolean) => number;

const SPECIAL = { u: 0o4000, g: 0o2000, o: 0 } as const;
const SHIFT = { u: 6, g: 3, o: 0 } as const;
const STICKY = 0o1000;
type Class = keyof typeof SHIFT;

/** One operator of a clause. */
interface Clause {
  readonly op: string;
  /** Letters behind the operator. */
  readonly what: string;
  readonly classes: readonly Class[];
}

const CLAUSE = /^([ugoa]*)((?:[-+=][rwxXstugo]*)+)$/;

/**
 * A mode as BSD's setmode(3) takes it: octal, or symbolic clauses (`u=rwX,go-w`, `+x`, `o=u`), with an umask of 0. `X` is
 * execution for directories and for what somebody could execute before the change.
 */
export function parseModeChange(text: string): Result<ModeChange, string> {
  if (/^[0-7]+$/.test(text) && Number.parseInt(text, 8) <= 0o7777) {
    const mode = Number.parseInt(text, 8);
    return ok(() => mode);
  }
  const clauses: Clause[] = [];
  for (const part of text.split(',')) {
    const [, who, actions] = CLAUSE.exec(part) ?? [];
    if (who === undefined || actions === undefined) return err('invalid syntax');
    const classes = classesOf(who);
    for (const [, op = '', what = ''] of actions.matchAll(/([-+=])([rwxXstugo]*)/g))
      clauses.push({ op, what, classes });
  }
  return ok((mode, isDir) => {
    const executable = isDir || (mode & 0o111) !== 0;
    return clauses.reduce((now, clause) => apply(now, clause, executable), mode);
  });
}

function classesOf(who: string): readonly Class[] {
  if (who === '' || who.includes('a')) return ['u', 'g', 'o'];
  return (['u', 'g', 'o'] as const).filter((c) => who.includes(c));
}

function apply(mode: number, clause: Clause, executable: boolean): number {
  const { op, what, classes } = clause;
  // Copying another class's bits leaves setuid and setgid alone.
  const copies = /^[ugo]+$/.test(what);
  const triple = permissions(mode, clause, executable);
  let bits = 0;
  let mask = 0;
  for (const c of classes) {
    bits |= triple << SHIFT[c];
    if (what.includes('s')) bits |= SPECIAL[c];
    mask |= (0o7 << SHIFT[c]) | (copies ? 0 : SPECIAL[c]);
  }
  if (what.includes('t') && classes.some((c) => c !== 'o')) bits |= STICKY;
  switch (op) {
    case '+':
      return mode | bits;
    case '-':
      return mode & ~bits;
    default:
      return (mode & ~mask) | bits;
  }
}

/** The `rwx` bits that a clause names, for one class. */
function permissions(mode: number, clause: Clause, executable: boolean): number {
  let triple = 0;
  for (const letter of clause.what) {
    if (letter === 'r') triple |= 4;
    else if (letter === 'w') triple |= 2;
    else if (letter === 'x') triple |= 1;
    else if (letter === 'X') triple |= executable || clause.op === '-' ? 1 : 0;
    else if (letter === 'u' || letter === 'g' || letter === 'o')
      triple |= (mode >> SHIFT[letter]) & 7;
  }
  return triple;
}
