import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import {
  err,
  failure,
  isErrno,
  isRecord,
  ok,
  parseJson,
  type Result,
  writeAtomically,
} from '../../base/index.ts';
import {
  encodeLock,
  type PackageWish,
  parseLock,
  type RootTemplate,
  type TemplateLock,
  wishText,
} from '../../template/index.ts';
import type { Io } from '../io.ts';

/** Locks by the name of the root they are for. */
export type Locks = ReadonlyMap<string, TemplateLock>;

/** Reads a lock file. TP010: it is none. */
export function readLocks(io: Io, path: string): Result<Locks> {
  let text: string;
  try {
    text = readFileSync(resolve(io.cwd, path), 'utf8');
  } catch (e) {
    if (!isErrno(e, 'ENOENT', 'EACCES', 'EISDIR', 'ENOTDIR')) throw e;
    return err(
      failure('TP010', 2, `lock file ${path} cannot be read: ${e.code ?? ''}`, {
        help: 'a build without --frozen writes it',
      }),
    );
  }
  const json = parseJson(text);
  const roots = json.ok && isRecord(json.value) ? json.value['roots'] : undefined;
  if (!isRecord(roots)) return err(failure('TP010', 2, `${path} is no lock file`));
  const locks = new Map<string, TemplateLock>();
  for (const [name, value] of Object.entries(roots)) {
    const lock = parseLock(JSON.stringify(value));
    if (!lock.ok) return err(failure('TP010', 2, `${path}: ${name}: ${lock.error.message}`));
    locks.set(name, lock.value);
  }
  return ok(locks);
}

/** Writes a lock file: the same bytes for the same locks. */
export async function writeLocks(io: Io, path: string, locks: Locks): Promise<void> {
  const roots = [...locks]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, lock]) => `${JSON.stringify(name)}:${encodeLock(lock)}`);
  await writeAtomically(
    resolve(io.cwd, path),
    Buffer.from(`{"version":1,"roots":{\n${roots.join(',\n')}\n}}\n`),
  );
}

/** TP010 when a template asks for something that its lock does not have: then the lock is of another template. */
export function checkLock(name: string, template: RootTemplate, lock: TemplateLock): Result<void> {
  const release = template.kind === 'rpm-root' ? template.release : template.suite;
  const format = template.kind === 'rpm-root' ? 'rpm' : 'Debian';
  const missing = template.packages.find((wish) => !hasWish(lock, wish));
  const fault =
    (lock.rpm === undefined) === (template.kind === 'rpm-root')
      ? `it is not of packages of ${format}`
      : missing !== undefined
        ? `it has no ${missing.name}${missing.version === undefined ? '' : ` ${missing.version}`}`
        : lock.suite !== release || lock.distribution !== template.distribution
          ? `it is of ${lock.distribution} ${lock.suite}`
          : undefined;
  if (fault === undefined) return ok(undefined);
  return err(
    failure('TP010', 2, `the lock of ${name} does not fit the template: ${fault}`, {
      help: 'make the lock again: build without --frozen',
      ...(missing === undefined ? {} : { places: [{ file: template.file, span: missing.span }] }),
    }),
  );
}

function hasWish(lock: TemplateLock, wish: PackageWish): boolean {
  if (lock.rpm !== undefined) return lock.rpm.asked[wishText(wish)] !== undefined;
  const found = lock.packages.find((p) => p.name === wish.name);
  return found !== undefined && (wish.version === undefined || found.version === wish.version);
}
