import { type GoJson, packageUrl } from '../base/index.ts';
import type { InstalledPackage } from './installed.ts';
import { derivedUuid } from './layout.ts';

/** What an inventory is of. */
export interface InventorySubject {
  readonly name: string;
  readonly version: string;
  /** `debian`, as package URLs name it. */
  readonly distribution: string;
  /** SPDX's word for what it is; absent: `OPERATING-SYSTEM`. */
  readonly purpose?: 'CONTAINER';
  /** Seconds since the epoch. */
  readonly time: number;
}

/** Package URL (purl-spec, PURL-TYPES): the epoch of an rpm is a qualifier; packages of languages are of no distribution. */
function purl(p: InstalledPackage, distribution: string): string {
  if (p.format === 'pypi' || p.format === 'npm') return packageUrl(p.format, p.name, p.version);
  const [, epoch, version = p.version] =
    p.format === 'rpm' ? (/^(\d+):(.*)$/.exec(p.version) ?? []) : [];
  const qualifiers = { arch: p.architecture, epoch };
  return packageUrl(p.format, `${distribution}/${p.name}`, version, qualifiers);
}

const instant = (seconds: number): string =>
  new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');

/** What the identifiers of an inventory are derived from: another content has another namespace. */
const identity = (subject: InventorySubject, packages: readonly InstalledPackage[]): string =>
  derivedUuid(
    subject.name,
    subject.version,
    ...packages.map((p) => `${p.name} ${p.version} ${p.architecture}`),
  );

/** An SPDX 2.3 document (JSON form): the image, its packages, and what depends on what. */
export function spdxDocument(
  subject: InventorySubject,
  packages: readonly InstalledPackage[],
): GoJson {
  const id = spdxIds(packages);
  const image = 'SPDXRef-Image';
  const relation = (from: string, type: string, to: string): GoJson => ({
    spdxElementId: from,
    relationshipType: type,
    relatedSpdxElement: to,
  });
  return {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name: `${subject.name}-${subject.version}`,
    documentNamespace: `urn:uuid:${identity(subject, packages)}`,
    creationInfo: { created: instant(subject.time), creators: ['Tool: varve'] },
    packages: [
      {
        SPDXID: image,
        name: subject.name,
        versionInfo: subject.version,
        downloadLocation: 'NOASSERTION',
        filesAnalyzed: false,
        primaryPackagePurpose: subject.purpose ?? 'OPERATING-SYSTEM',
      },
      ...packages.map((p) => ({
        SPDXID: id(p.id),
        name: p.name,
        versionInfo: p.version,
        ...(p.maintainer === ''
          ? {}
          : {
              supplier: `${p.format === 'rpm' || p.maintainer.includes('@lists') ? 'Organization' : 'Person'}: ${p.maintainer.replace(/\s*<([^>]*)>/, ' ($1)')}`,
            }),
        downloadLocation: 'NOASSERTION',
        filesAnalyzed: false,
        ...(p.homepage === '' ? {} : { homepage: p.homepage }),
        ...(p.source === ''
          ? {}
          : { sourceInfo: `built from source package ${p.source} ${p.sourceVersion}` }),
        licenseConcluded: 'NOASSERTION',
        licenseDeclared: 'NOASSERTION',
        ...(p.license === '' ? {} : { licenseComments: `the package says: ${p.license}` }),
        copyrightText: 'NOASSERTION',
        ...(p.summary === '' ? {} : { summary: p.summary }),
        externalRefs: [
          {
            referenceCategory: 'PACKAGE-MANAGER',
            referenceType: 'purl',
            referenceLocator: purl(p, subject.distribution),
          },
        ],
      })),
    ],
    relationships: [
      relation('SPDXRef-DOCUMENT', 'DESCRIBES', image),
      ...packages.map((p) => relation(image, 'CONTAINS', id(p.id))),
      ...packages.flatMap((p) => p.needs.map((n) => relation(id(p.id), 'DEPENDS_ON', id(n)))),
    ],
  };
}

/** Letters, digits, `.` and `-` only (SPDX 2.3, section 3.2); names that would fall together are numbered. */
function spdxIds(packages: readonly InstalledPackage[]): (name: string) => string {
  const taken = new Set<string>();
  const ids = new Map<string, string>();
  for (const p of packages) {
    const plain = `SPDXRef-Package-${p.id.replaceAll('+', '-plus').replace(/[^A-Za-z0-9.-]/g, '-')}`;
    let id = plain;
    for (let n = 2; taken.has(id); n++) id = `${plain}-${n}`;
    taken.add(id);
    ids.set(p.id, id);
  }
  return (name) => ids.get(name) ?? 'NOASSERTION';
}

/** A CycloneDX 1.5 document (JSON form) of the same. */
export function cycloneDxDocument(
  subject: InventorySubject,
  packages: readonly InstalledPackage[],
): GoJson {
  const refs = new Map(packages.map((p) => [p.id, purl(p, subject.distribution)]));
  const image = `image:${subject.name}@${subject.version}`;
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.5.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    serialNumber: `urn:uuid:${identity(subject, packages)}`,
    version: 1,
    metadata: {
      timestamp: instant(subject.time),
      tools: { components: [{ type: 'application', name: 'varve' }] },
      component: {
        'bom-ref': image,
        type: 'operating-system',
        name: subject.name,
        version: subject.version,
      },
    },
    components: packages.map((p) => ({
      'bom-ref': refs.get(p.id) ?? '',
      type: 'library',
      name: p.name,
      version: p.version,
      ...(p.summary === '' ? {} : { description: p.summary }),
      purl: refs.get(p.id) ?? '',
      ...(/^https?:\/\/\S+$/.test(p.homepage)
        ? { externalReferences: [{ type: 'website', url: p.homepage }] }
        : {}),
    })),
    dependencies: [
      { ref: image, dependsOn: packages.map((p) => refs.get(p.id) ?? '') },
      ...packages.map((p) => ({
        ref: refs.get(p.id) ?? '',
        dependsOn: p.needs.map((n) => refs.get(n) ?? ''),
      })),
    ],
  };
}
