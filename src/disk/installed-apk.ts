import { byCodeUnit } from '../base/index.ts';
import type { InstalledPackage } from './installed.ts';

/** Packages that are installed according to apk's database (`lib/apk/db/installed`, apk-package(5)): one letter a field. */
export function installedApks(database: string): readonly InstalledPackage[] {
  const stanzas = database
    .split(/\n\n+/)
    .map(
      (text) => new Map([...text.matchAll(/^([A-Za-z]):(.*)$/gm)].map((m) => [m[1], m[2] ?? ''])),
    )
    .filter((fields) => fields.has('P'));
  const providers = new Map<string, string>();
  for (const fields of stanzas) {
    const name = fields.get('P') ?? '';
    for (const what of words(fields.get('p'))) providers.set(what, name);
  }
  for (const fields of stanzas) providers.set(fields.get('P') ?? '', fields.get('P') ?? '');
  return stanzas
    .map((fields): InstalledPackage => {
      const [name, version] = [fields.get('P') ?? '', fields.get('V') ?? ''];
      const needs = new Set(words(fields.get('D')).flatMap((what) => providers.get(what) ?? []));
      needs.delete(name);
      return {
        format: 'apk',
        id: name,
        name,
        version,
        architecture: fields.get('A') ?? '',
        source: fields.get('o') ?? name,
        sourceVersion: version,
        maintainer: fields.get('m') ?? '',
        homepage: fields.get('U') ?? '',
        summary: fields.get('T') ?? '',
        license: fields.get('L') ?? '',
        needs: [...needs].sort(byCodeUnit),
      };
    })
    .sort((a, b) => byCodeUnit(a.name, b.name));
}

/** Names without versions; `!name` is a conflict. */
const words = (list: string | undefined): readonly string[] =>
  (list ?? '')
    .split(/\s+/)
    .filter((word) => word !== '' && !word.startsWith('!'))
    .map((word) => word.replace(/[<>=~].*$/, ''));
