import { err, failure, ok, type Result } from '../../base/index.ts';
import { type DiskFormat, isLive } from '../../disk/index.ts';
import type { LoadedTemplate } from './load-template.ts';

/** What a template may ask for and cannot be made (TP008): said before anything is. */
export function canBeMade({ template: t, provider }: LoadedTemplate): Result<void> {
  const refuse = (path: readonly PropertyKey[], what: string, help: string): Result<void> =>
    err(failure('TP008', 2, `${what} cannot be made`, { help, places: [t.at(path)] }));
  if (t.target.imageType === 'img')
    return refuse(['target', 'imageType'], 'an image of the type img', 'use raw or iso');
  const { bootloader, immutability } = t.system;
  if (bootloader?.bootType === 'legacy')
    return refuse(['systemConfig', 'bootloader', 'bootType'], 'a disk for BIOS', 'use efi');
  const immutable = ['systemConfig', 'immutability'];
  if (isLive(t) && provider.live === undefined)
    return refuse(['target', 'imageType'], `a live medium of ${provider.dist}`, 'use raw');
  if (immutability?.enabled === true && provider.verity === undefined)
    return refuse(immutable, `an immutable root of ${provider.dist}`, 'leave it out');
  if (immutability?.enabled === true && isLive(t))
    return refuse(immutable, 'hashes of the root of a live medium', 'leave immutability out');
  for (const { value, file, span } of t.repositories)
    if (value.allowPackages !== undefined && provider.format === 'deb')
      return err(
        failure('TP008', 2, 'allowPackages of a repository of Debian packages cannot be kept', {
          help: 'give the repository a priority below 500, and name the versions that are wanted of it',
          places: [{ file, span }],
        }),
      );
  for (const { value, file, span } of t.users)
    if (value.password !== undefined && !/^(?:\$[0-9a-z]+\$|[!*])/.test(value.password))
      return err(
        failure('TP008', 2, `the password of ${value.name} is not hashed`, {
          help: 'write what mkpasswd(1) or "openssl passwd -6" prints',
          places: [{ file, span }],
        }),
      );
  return ok(undefined);
}

/** Whether the forms are those of the template: a live medium has one of its own. CL002. */
export function formatsFit(
  { template: t }: LoadedTemplate,
  formats: readonly DiskFormat[],
): Result<void> {
  const wrong = formats.find((format) => (format.kind === 'iso') !== isLive(t));
  if (wrong === undefined) return ok(undefined);
  return err(
    failure(
      'CL002',
      2,
      `--output: ${wrong.kind} of a template with imageType: ${t.target.imageType}`,
      {
        help: isLive(t)
          ? 'a live medium is type=iso'
          : 'type=iso is of templates with imageType: iso',
        places: [t.at(['target', 'imageType'])],
      },
    ),
  );
}
