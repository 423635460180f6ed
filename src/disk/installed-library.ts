import { isRecord, parseJson } from '../base/index.ts';
import type { InstalledPackage } from './installed.ts';

const library = (
  format: 'pypi' | 'npm',
  name: string,
  version: string,
  more: Partial<Pick<InstalledPackage, 'homepage' | 'summary' | 'license'>>,
): InstalledPackage => ({
  format,
  id: `${format}-${name}-${version}`,
  ...{ name, version, architecture: '', source: '', sourceVersion: '', maintainer: '', needs: [] },
  ...{ homepage: '', summary: '', license: '', ...more },
});

/** A Python distribution by its `METADATA` or `PKG-INFO` (core metadata specifications); undefined for another text. */
export function pythonPackage(metadata: string): InstalledPackage | undefined {
  const [head = ''] = metadata.replaceAll('\r\n', '\n').split('\n\n', 1);
  const field = (name: string): string | undefined =>
    new RegExp(`^${name}:[ \\t]*(.*)$`, 'im').exec(head)?.[1];
  const name = field('Name');
  const version = field('Version');
  if (name === undefined || version === undefined) return undefined;
  // Names are compared in this form (PyPA, "Names and normalization").
  return library('pypi', name.toLowerCase().replace(/[-_.]+/g, '-'), version, {
    homepage: field('Home-page') ?? '',
    summary: field('Summary') ?? '',
    license: field('License-Expression') ?? field('License') ?? '',
  });
}

/** An npm package by its `package.json`; undefined where it has no name or version, as files of tools. */
export function npmPackage(json: string): InstalledPackage | undefined {
  const parsed = parseJson(json);
  if (!parsed.ok || !isRecord(parsed.value)) return undefined;
  const { name, version, homepage, description, license } = parsed.value;
  if (typeof name !== 'string' || typeof version !== 'string') return undefined;
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  return library('npm', name, version, {
    homepage: text(homepage),
    summary: text(description).split('\n')[0] ?? '',
    license: text(license),
  });
}
