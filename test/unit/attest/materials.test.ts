import assert from 'node:assert/strict';
import { test } from 'node:test';
import { materials } from '../../../src/attest/index.ts';
import { type Digest, packageUrl, sha256 } from '../../../src/base/index.ts';
import type { Definition, OpPlatform, SourceOp, Vertex } from '../../../src/llb/index.ts';
import { type TemplateLock, templateSource } from '../../../src/template/index.ts';

const ARM: OpPlatform = { OS: 'linux', Architecture: 'arm64', Variant: 'v8' };
const COMMIT = '0123456789abcdef0123456789abcdef01234567';
const hex = (text: string): string => sha256(text).slice('sha256:'.length);

/** A definition of sources alone, and what each turned out to be. */
function sourcesOnly(
  list: readonly (readonly [source: SourceOp, identity: string, platform?: OpPlatform])[],
): { readonly definition: Definition; readonly sources: ReadonlyMap<Digest, string> } {
  const vertices = list.map(([source, identity, platform], i): readonly [Vertex, string] => [
    {
      digest: sha256(String(i)),
      op: {
        inputs: [],
        body: { kind: 'source', source },
        ...(platform === undefined ? {} : { platform }),
      },
      pb: Buffer.alloc(0),
      metadata: { description: {}, ignoreCache: false, caps: [], spans: [] },
    },
    identity,
  ]);
  return {
    definition: { vertices: new Map(vertices.map(([vertex]) => [vertex.digest, vertex])) },
    sources: new Map(vertices.map(([{ digest }, identity]) => [digest, identity])),
  };
}

const LOCK: TemplateLock = {
  ...{ version: 1, distribution: 'debian', suite: 'bookworm', architecture: 'amd64' },
  sources: [
    {
      ...{ uri: 'http://one.example/debian', suite: 'bookworm', components: ['main'] },
      ...{ release: sha256('release'), date: 1_700_000_000, signers: ['AA'] },
    },
  ],
  packages: [
    {
      ...{ name: 'g++', version: '4:12.2.0-3', architecture: 'amd64', sha256: sha256('deb') },
      ...{ size: 3, path: 'pool/g.deb', source: 0, step: 0, manual: true, reason: 'asked for' },
    },
  ],
  ...{ aptSources: false, files: [], users: [] },
  config: { env: {}, entrypoint: [], cmd: [], workdir: '', user: '', labels: {} },
};

test('images, repositories, downloads and packages are named with their digests and without credentials, each once', () => {
  const plain = (identifier: string, attrs: SourceOp['attrs'] = {}): SourceOp => ({
    identifier,
    attrs,
  });
  const image = sha256('image');
  const found = materials(
    sourcesOnly([
      [plain(`docker-image://docker.io/library/alpine:3.20@${image}`), image, ARM],
      [plain(`docker-image://docker.io/library/alpine:3.20@${image}`), image, ARM],
      [plain(`docker-image://ghcr.io/me/app@${image}`), image, ARM],
      [plain(`oci-layout://base.local/x@${image}`), image],
      [
        plain('git://example.org/app.git#v1:dir', {
          'git.fullurl': 'https://me:token@example.org/app.git',
        }),
        COMMIT,
      ],
      [plain('git://git@example.org/plain.git#main'), 'a'.repeat(64)],
      [plain('https://me:pw@example.org/a.tar?signature=s'), sha256('tar')],
      [plain('local://context'), 'context'],
      [templateSource('base', LOCK), 'debian bookworm amd64, 1 packages'],
    ]),
  );
  assert.deepEqual(found, [
    { uri: 'https://example.org/a.tar', digest: { sha256: hex('tar') } },
    { uri: 'https://example.org/app.git#v1:dir', digest: { sha1: COMMIT } },
    { uri: 'https://example.org/plain.git#main', digest: { sha256: 'a'.repeat(64) } },
    {
      uri: 'pkg:deb/debian/g%2B%2B@4:12.2.0-3?arch=amd64',
      digest: { sha256: hex('deb') },
    },
    {
      uri: 'pkg:docker/alpine@3.20?platform=linux%2Farm64%2Fv8',
      digest: { sha256: hex('image') },
    },
    {
      uri: `pkg:docker/ghcr.io/me/app?digest=${image}&platform=linux%2Farm64%2Fv8`,
      digest: { sha256: hex('image') },
    },
    {
      uri: `pkg:oci/base.local/x?digest=${image}`,
      digest: { sha256: hex('image') },
    },
  ]);
});

test('a package URL percent-encodes its parts, sorts its qualifiers and leaves out empty ones', () => {
  assert.deepEqual(
    [
      packageUrl('npm', '@babel/core', '7.0.0'),
      packageUrl('deb', 'debian/libc++', '1:2~rc+1', { distro: 'x y', arch: 'amd64', none: '' }),
      packageUrl('pypi', 'django', undefined),
    ],
    [
      'pkg:npm/%40babel/core@7.0.0',
      'pkg:deb/debian/libc%2B%2B@1:2~rc%2B1?arch=amd64&distro=x%20y',
      'pkg:pypi/django',
    ],
  );
});
