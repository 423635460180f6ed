import { readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { err, failure, isErrno, ok, type Result } from '../../base/index.ts';
import type { DiskPlan } from '../../disk/index.ts';
import type { LoadedTemplate } from './load-template.ts';
import { FIXED_S } from './stage-files.ts';

/** What signs for Secure Boot: where the certificates are within the context of files, and the key. */
export interface Signing {
  readonly plan: NonNullable<DiskPlan['signing']>;
  readonly key: Uint8Array;
}

/** No absolute path of a file of the template is called so. */
const CERTIFICATE = '.varve-secure-boot.crt';
const ENROLLED = '.varve-secure-boot.cer';

/**
 * Puts the certificates of `immutability.secureBootDB*` beside the template's files, and reads the key, which goes nowhere
 * but into the step that signs. TP004: one of them cannot be read.
 */
export function stageSigning(
  { template: t, dirs }: LoadedTemplate,
  dir: string,
): Result<Signing | undefined> {
  const { secureBootDBKey, secureBootDBCrt, secureBootDBCer } = t.system.immutability ?? {};
  if (
    secureBootDBKey === undefined ||
    secureBootDBCrt === undefined ||
    secureBootDBCer === undefined
  )
    return ok(undefined);
  const find = (name: string, local: string): Result<Uint8Array> => {
    for (const base of dirs)
      try {
        return ok(readFileSync(resolve(base, local)));
      } catch (e) {
        if (!isErrno(e, 'ENOENT', 'ENOTDIR', 'EACCES', 'EISDIR')) throw e;
      }
    return err(
      failure('TP004', 2, `${name} cannot be read`, {
        help: 'the path is relative to the template, or to one that it extends',
        places: [t.at(['systemConfig', 'immutability', name])],
      }),
    );
  };
  const key = find('secureBootDBKey', secureBootDBKey);
  if (!key.ok) return key;
  for (const [name, local, to] of [
    ['secureBootDBCrt', secureBootDBCrt, CERTIFICATE],
    ['secureBootDBCer', secureBootDBCer, ENROLLED],
  ] as const) {
    const found = find(name, local);
    if (!found.ok) return found;
    writeFileSync(join(dir, to), found.value, { mode: 0o644 });
    utimesSync(join(dir, to), FIXED_S, FIXED_S);
  }
  return ok({ plan: { certificate: CERTIFICATE, enrolled: ENROLLED }, key: key.value });
}
