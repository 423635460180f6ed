import { byCodeUnit } from '../base/index.ts';
import { namesIn, parseDependency, type RpmHeader, TAG, versionOf } from '../rpm/index.ts';
import type { InstalledPackage } from './installed.ts';

/** Packages that are installed according to the headers of rpm's database, by name, each with what it needs of the others. */
export function installedRpms(headers: readonly RpmHeader[]): readonly InstalledPackage[] {
  // Keys that rpm trusts are kept as packages; they have no architecture.
  const packages = headers.filter((h) => h.text(TAG.arch) !== undefined);
  const byName = Map.groupBy(packages, nameOf);
  const idOf = (h: RpmHeader): string =>
    (byName.get(nameOf(h)) ?? []).length > 1 ? `${nameOf(h)}.${archOf(h)}` : nameOf(h);
  const providers = new Map<string, string[]>();
  for (const header of packages)
    for (const what of new Set([...header.texts(TAG.provideName), ...pathsOf(header)]))
      providers.set(what, [...(providers.get(what) ?? []), idOf(header)]);
  return packages
    .map((header) => installed(header, idOf(header), providers))
    .sort((a, b) => byCodeUnit(a.name, b.name) || byCodeUnit(a.architecture, b.architecture));
}

const nameOf = (h: RpmHeader): string => h.text(TAG.name) ?? '';
const archOf = (h: RpmHeader): string => h.text(TAG.arch) ?? '';

/** Paths that a package owns (rpm's "Compressed file names": directories by number). */
function pathsOf(h: RpmHeader): readonly string[] {
  const [dirs, indexes] = [h.texts(TAG.dirNames), h.numbers(TAG.dirIndexes)];
  return h.texts(TAG.baseNames).map((name, i) => `${dirs[indexes[i] ?? 0] ?? ''}${name}`);
}

function installed(
  h: RpmHeader,
  id: string,
  providers: ReadonlyMap<string, readonly string[]>,
): InstalledPackage {
  const needs = new Set<string>();
  for (const text of h.texts(TAG.requireName)) {
    const parsed = parseDependency(text);
    for (const name of parsed === undefined ? [] : namesIn(parsed))
      for (const other of providers.get(name.name) ?? []) needs.add(other);
  }
  needs.delete(id);
  const version = versionOf({
    epoch: h.number(TAG.epoch) ?? 0,
    version: h.text(TAG.version) ?? '',
    release: h.text(TAG.release) ?? '',
  });
  const source = /^(.+)-([^-]+-[^-]+)\.(?:no)?src\.rpm$/.exec(h.text(TAG.sourceRpm) ?? '');
  return {
    format: 'rpm',
    id,
    name: nameOf(h),
    version,
    architecture: archOf(h),
    source: source?.[1] ?? nameOf(h),
    sourceVersion: source?.[2] ?? version,
    maintainer: h.text(TAG.vendor) ?? '',
    homepage: h.text(TAG.url) ?? '',
    summary: h.text(TAG.summary) ?? '',
    license: h.text(TAG.license) ?? '',
    needs: [...needs].sort(byCodeUnit),
  };
}
