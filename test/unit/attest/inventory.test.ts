import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inventory } from '../../../src/attest/index.ts';
import { ok } from '../../../src/base/index.ts';
import type { InstalledPackage } from '../../../src/disk/index.ts';
import { type MemoryEntry, MemoryTree } from '../../rig/memory-tree.ts';

const { signal } = new AbortController();

/** A tree of files and links, and of the directories above them. */
function treeOf(
  files: Readonly<Record<string, string>>,
  links: Readonly<Record<string, string>> = {},
): MemoryTree {
  const dirs = new Set<string>();
  for (const path of [...Object.keys(files), ...Object.keys(links)])
    for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1))
      dirs.add(path.slice(0, at));
  return new MemoryTree([
    ...[...dirs].sort().map((path) => ({ path, type: 'dir' }) as const),
    ...Object.entries(files).map(([path, content]) => ({ path, type: 'file', content }) as const),
    ...Object.entries(links).map(
      ([path, target]): MemoryEntry => ({ path, type: 'symlink', target }),
    ),
  ]);
}

const APK = `C:Q1abc=
P:busybox
V:1.36.1-r2
A:x86_64
T:Size optimized toolbox
U:https://busybox.net/
L:GPL-2.0-only
o:busybox
m:Someone <a@example.org>
D:so:libc.musl-x86_64.so.1 !other

P:musl
V:1.2.4-r2
A:x86_64
p:so:libc.musl-x86_64.so.1=1
`;

const RPM: InstalledPackage = {
  ...{
    format: 'rpm',
    id: 'glibc',
    name: 'glibc',
    version: '1:2.38-1.azl3',
    architecture: 'x86_64',
  },
  ...{ source: 'glibc', sourceVersion: '2.38-1.azl3', maintainer: '', homepage: '', summary: '' },
  ...{ license: '', needs: [] },
};

test('packages of dpkg, apk, rpm, pip and npm in one tree are listed under their addresses, each once', async () => {
  const tree = treeOf({
    '/etc/os-release': 'NAME=x\nID="alpine"\n',
    '/lib/apk/db/installed': APK,
    '/var/lib/dpkg/status.d/base': 'Package: base-files\nVersion: 12\nArchitecture: amd64\n',
    '/var/lib/dpkg/status.d/base.md5sums': 'not a package\n',
    '/usr/lib/sysimage/rpm/rpmdb.sqlite': 'rows',
    '/usr/lib/python3/dist-packages/Foo_Bar-1.0.dist-info/METADATA':
      'Metadata-Version: 2.1\nName: Foo_Bar\nVersion: 1.0\nLicense: MIT\n\nVersion: of the description\n',
    '/opt/v/lib/python3.11/site-packages/old.egg-info': 'Name: old\nVersion: 2\n',
    '/srv/node_modules/@me/x/package.json': '{"name":"@me/x","version":"3.0.0"}',
    '/srv/node_modules/a/node_modules/@me/x/package.json': '{"name":"@me/x","version":"3.0.0"}',
    '/srv/node_modules/a/package.json': '{"name":"a","version":"1.2.3"}',
    '/srv/node_modules/a/test/package.json': '{"name":"of a test","version":"9"}',
    '/srv/node_modules/broken/package.json': '{',
  });
  const asked: string[] = [];
  const document = await inventory(tree, {
    name: 'docker.io/me/app:1',
    at: 1_700_000_000_000,
    signal,
    readRpms: async (bytes) => {
      asked.push(Buffer.from(bytes).toString());
      return await Promise.resolve(ok([RPM]));
    },
  });
  assert.ok(document.ok);
  const { packages, relationships } = document.value as {
    readonly packages: readonly {
      readonly SPDXID: string;
      readonly primaryPackagePurpose?: string;
      readonly externalRefs?: readonly { readonly referenceLocator: string }[];
    }[];
    readonly relationships: readonly { readonly relationshipType: string }[];
  };
  assert.deepEqual(asked, ['rows']);
  assert.deepEqual(
    packages.map((p) => [
      p.SPDXID,
      p.externalRefs?.[0]?.referenceLocator ?? p.primaryPackagePurpose,
    ]),
    [
      ['SPDXRef-Image', 'CONTAINER'],
      ['SPDXRef-Package-base-files', 'pkg:deb/alpine/base-files@12?arch=amd64'],
      ['SPDXRef-Package-busybox', 'pkg:apk/alpine/busybox@1.36.1-r2?arch=x86_64'],
      ['SPDXRef-Package-musl', 'pkg:apk/alpine/musl@1.2.4-r2?arch=x86_64'],
      ['SPDXRef-Package-glibc', 'pkg:rpm/alpine/glibc@2.38-1.azl3?arch=x86_64&epoch=1'],
      ['SPDXRef-Package-npm--me-x-3.0.0', 'pkg:npm/%40me/x@3.0.0'],
      ['SPDXRef-Package-npm-a-1.2.3', 'pkg:npm/a@1.2.3'],
      ['SPDXRef-Package-pypi-foo-bar-1.0', 'pkg:pypi/foo-bar@1.0'],
      ['SPDXRef-Package-pypi-old-2', 'pkg:pypi/old@2'],
    ],
  );
  assert.deepEqual(
    relationships.filter((r) => r.relationshipType === 'DEPENDS_ON'),
    [
      {
        spdxElementId: 'SPDXRef-Package-busybox',
        relationshipType: 'DEPENDS_ON',
        relatedSpdxElement: 'SPDXRef-Package-musl',
      },
    ],
  );
});

test('the release and the database of a distribution are found behind links, and one database is read once', async () => {
  const tree = treeOf(
    {
      '/usr/lib/os-release': "PRETTY_NAME='Fedora Linux'\nID=fedora\n",
      '/usr/lib/sysimage/rpm/rpmdb.sqlite': 'rows',
    },
    { '/etc/os-release': '../usr/lib/os-release', '/var/lib/rpm': '../../usr/lib/sysimage/rpm' },
  );
  const asked: string[] = [];
  const document = await inventory(tree, {
    name: 'app',
    at: 0,
    signal,
    readRpms: async (bytes) => {
      asked.push(Buffer.from(bytes).toString());
      return await Promise.resolve(ok([RPM]));
    },
  });
  assert.ok(document.ok);
  assert.deepEqual(asked, ['rows']);
  assert.match(JSON.stringify(document.value), /"pkg:rpm\/fedora\/glibc@2\.38-1\.azl3\?/);
});
