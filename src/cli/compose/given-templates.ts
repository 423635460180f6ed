import { ok, type Result } from '../../base/index.ts';
import type { OsRoots, RootTemplate, TemplateLock } from '../../template/index.ts';
import type { Options } from '../build-request.ts';
import type { Io } from '../io.ts';
import type { GivenTemplates } from '../lazy-packages.ts';
import { checkLock, readLocks } from './lock-file.ts';

/** Roots that have templates. */
export type RootName = Exclude<keyof OsRoots, 'kernel'>;
/** All of them, that of the disk first. */
export const ROOTS: readonly RootName[] = [
  'root',
  'disk',
  'convert',
  'boot',
  'verity',
  'sign',
  'iso',
];

/** The templates of the roots under the names that the stages know them by, and where their locks come from. */
export function givenTemplates(
  io: Io,
  what: { readonly file: string; readonly roots: OsRoots; readonly options: Options },
): Result<{ readonly given: GivenTemplates; readonly locks: Map<string, TemplateLock> }> {
  const { options, roots } = what;
  const nameOf = (root: RootName): string => contextName(what.file, root);
  const templates = new Map<string, RootTemplate>(
    ROOTS.flatMap((r) => {
      const template = roots[r];
      return template === undefined ? [] : [[nameOf(r), template] as const];
    }),
  );
  const frozen = new Map<string, TemplateLock>();
  if (options.is('frozen')) {
    const path = options.text('lock') ?? `${what.file}.lock`;
    const locks = readLocks(io, path);
    if (!locks.ok) return locks;
    for (const root of ROOTS) {
      const lock = locks.value.get(root);
      const template = roots[root];
      if (lock === undefined || template === undefined) continue;
      const fits = checkLock(root, template, lock);
      if (!fits.ok) return fits;
      frozen.set(nameOf(root), lock);
    }
  }
  const locks = new Map<string, TemplateLock>();
  const given: GivenTemplates = {
    templates,
    parts: new Map([
      [contextName(what.file, 'kernel'), { of: nameOf('root'), packages: roots.kernel }],
    ]),
    locks: frozen,
    offline: options.is('offline'),
    frozen: options.is('frozen'),
    clean: options.is('clean'),
    onLock: (name, lock) => {
      const root = ROOTS.find((r) => nameOf(r) === name);
      if (root !== undefined) locks.set(root, lock);
    },
  };
  return ok({ given, locks });
}

/** The same of a template that is one root: its lock is that of the root `root`. */
export function givenBase(
  io: Io,
  what: { readonly file: string; readonly template: RootTemplate; readonly options: Options },
): Result<{ readonly given: GivenTemplates; readonly locks: Map<string, TemplateLock> }> {
  const { file, options, template } = what;
  const frozen = new Map<string, TemplateLock>();
  if (options.is('frozen')) {
    const locks = readLocks(io, options.text('lock') ?? `${file}.lock`);
    if (!locks.ok) return locks;
    const lock = locks.value.get('root');
    const fits = lock === undefined ? ok(undefined) : checkLock('root', template, lock);
    if (!fits.ok) return fits;
    if (lock !== undefined) frozen.set(file, lock);
  }
  const locks = new Map<string, TemplateLock>();
  return ok({
    given: {
      templates: new Map([[file, template]]),
      parts: new Map(),
      locks: frozen,
      offline: options.is('offline'),
      frozen: options.is('frozen'),
      clean: options.is('clean'),
      onLock: (_name, lock) => locks.set('root', lock),
    },
    locks,
  });
}

/** What stands for a root in messages. */
export const contextName = (file: string, root: keyof OsRoots): string =>
  root === 'root' ? file : `${file} (${root}${root === 'kernel' ? '' : ' tools'})`;
