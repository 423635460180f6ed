import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  cycloneDxDocument,
  dependencyDot,
  installedPackages,
  spdxDocument,
} from '../../../src/disk/index.ts';

const STATUS = `Package: libc6
Status: install ok installed
Architecture: amd64
Source: glibc (2.36-9)
Version: 2.36-9+deb12u1
Maintainer: GNU Libc <debian-glibc@lists.debian.org>
Homepage: https://www.gnu.org/software/libc/
Description: GNU C Library
 more

Package: g++
Status: install ok installed
Architecture: amd64
Version: 4:12.2-1
Provides: c++-compiler
Depends: libc6 (>= 2.3) | libc, gone
Description: compiler

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
`;
const SUBJECT = { name: 'tiny', version: '1.0', distribution: 'debian', time: 1_700_000_000 };
const packages = installedPackages(STATUS);
const CXX = 'pkg:deb/debian/g%2B%2B@4:12.2-1?arch=amd64';
const LIBC = 'pkg:deb/debian/libc6@2.36-9%2Bdeb12u1?arch=amd64';

test('the graph has a box for each installed package, and an arrow to each that it needs', () => {
  assert.equal(
    dependencyDot(packages),
    'digraph packages {\n  rankdir=LR;\n  node [shape=box];\n  "g++" [label="g++\\n4:12.2-1"];\n  "libc6" [label="libc6\\n2.36-9+deb12u1"];\n  "g++" -> "libc6";\n}\n',
  );
});

test('the SPDX document describes the image, its packages and what they depend on', () => {
  const document = spdxDocument(SUBJECT, packages);
  assert.deepEqual(
    {
      ...(document as object),
      documentNamespace: /^urn:uuid:[0-9a-f-]{36}$/.test(
        (document as { documentNamespace: string }).documentNamespace,
      ),
    },
    {
      spdxVersion: 'SPDX-2.3',
      dataLicense: 'CC0-1.0',
      SPDXID: 'SPDXRef-DOCUMENT',
      name: 'tiny-1.0',
      documentNamespace: true,
      creationInfo: { created: '2023-11-14T22:13:20Z', creators: ['Tool: varve'] },
      packages: [
        {
          SPDXID: 'SPDXRef-Image',
          name: 'tiny',
          versionInfo: '1.0',
          downloadLocation: 'NOASSERTION',
          filesAnalyzed: false,
          primaryPackagePurpose: 'OPERATING-SYSTEM',
        },
        {
          ...packageOf('SPDXRef-Package-g-plus-plus', 'g++', '4:12.2-1', CXX),
          sourceInfo: 'built from source package g++ 4:12.2-1',
          summary: 'compiler',
        },
        {
          ...packageOf('SPDXRef-Package-libc6', 'libc6', '2.36-9+deb12u1', LIBC),
          supplier: 'Organization: GNU Libc (debian-glibc@lists.debian.org)',
          homepage: 'https://www.gnu.org/software/libc/',
          sourceInfo: 'built from source package glibc 2.36-9',
          summary: 'GNU C Library',
        },
      ],
      relationships: [
        relation('SPDXRef-DOCUMENT', 'DESCRIBES', 'SPDXRef-Image'),
        relation('SPDXRef-Image', 'CONTAINS', 'SPDXRef-Package-g-plus-plus'),
        relation('SPDXRef-Image', 'CONTAINS', 'SPDXRef-Package-libc6'),
        relation('SPDXRef-Package-g-plus-plus', 'DEPENDS_ON', 'SPDXRef-Package-libc6'),
      ],
    },
  );
});

const packageOf = (id: string, name: string, version: string, purl: string): object => ({
  ...{
    SPDXID: id,
    name,
    versionInfo: version,
    downloadLocation: 'NOASSERTION',
    filesAnalyzed: false,
  },
  ...{
    licenseConcluded: 'NOASSERTION',
    licenseDeclared: 'NOASSERTION',
    copyrightText: 'NOASSERTION',
  },
  externalRefs: [
    { referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: purl },
  ],
});

const relation = (from: string, type: string, to: string): object => ({
  ...{ spdxElementId: from, relationshipType: type, relatedSpdxElement: to },
});

test('the CycloneDX document has the same packages and dependencies', () => {
  const { components, dependencies, metadata } = cycloneDxDocument(SUBJECT, packages) as {
    readonly components: unknown;
    readonly dependencies: unknown;
    readonly metadata: unknown;
  };
  const library = (name: string, version: string, purl: string, description: string): object => ({
    ...{ 'bom-ref': purl, type: 'library', name, version, description, purl },
  });
  assert.deepEqual(
    { components, dependencies, metadata },
    {
      components: [
        library('g++', '4:12.2-1', CXX, 'compiler'),
        {
          ...library('libc6', '2.36-9+deb12u1', LIBC, 'GNU C Library'),
          externalReferences: [{ type: 'website', url: 'https://www.gnu.org/software/libc/' }],
        },
      ],
      dependencies: [
        { ref: 'image:tiny@1.0', dependsOn: [CXX, LIBC] },
        { ref: CXX, dependsOn: [LIBC] },
        { ref: LIBC, dependsOn: [] },
      ],
      metadata: {
        timestamp: '2023-11-14T22:13:20Z',
        tools: { components: [{ type: 'application', name: 'varve' }] },
        component: {
          ...{
            'bom-ref': 'image:tiny@1.0',
            type: 'operating-system',
            name: 'tiny',
            version: '1.0',
          },
        },
      },
    },
  );
});
