import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sha256 } from '../../../src/base/index.ts';
import {
  decodeManifest,
  encodeImageConfig,
  encodeManifest,
  familiarReference,
  formatPlatform,
  normaliseReference,
  type Platform,
  parsePlatform,
  parseReference,
  pickPlatform,
} from '../../../src/oci/index.ts';
import { goldenJson, goldenNames, needsGolden, note } from '../../rig/golden.ts';

const hex = 'a'.repeat(64);
const linux: Platform = { architecture: 'amd64', os: 'linux' };

describe('references', () => {
  for (const [text, want] of [
    ['alpine', 'docker.io/library/alpine:latest'],
    ['me/app:1', 'docker.io/me/app:1'],
    ['index.docker.io/alpine', 'docker.io/library/alpine:latest'],
    ['localhost/app', 'localhost/app:latest'],
    ['localhost:5000/a/b:x', 'localhost:5000/a/b:x'],
    ['[::1]:5000/a', '[::1]:5000/a:latest'],
    ['Host/a', 'Host/a:latest'],
    ['a.b/c', 'a.b/c:latest'],
    [`alpine@sha256:${hex}`, `docker.io/library/alpine@sha256:${hex}`],
    [`alpine:3@sha256:${hex}`, `docker.io/library/alpine:3@sha256:${hex}`],
    ['a__b/c--d.e', 'docker.io/a__b/c--d.e:latest'],
  ] as const) {
    test(`${text} is ${want}`, () => {
      assert.deepEqual(normaliseReference(text), { ok: true, value: want });
    });
  }

  for (const [text, want] of [
    ['', 'invalid reference format'],
    ['Alpine', 'invalid reference format: repository name (library/Alpine) must be lowercase'],
    ['a/b:', 'invalid reference format'],
    ['-a', 'invalid reference format'],
    ['a//b', 'invalid reference format'],
    [hex, `invalid repository name (${hex}), cannot specify 64-byte hexadecimal strings`],
    ['a@sha256:abc', 'invalid reference format'],
    [`a@md5:${hex}`, 'unsupported digest algorithm'],
    [`a@sha256:${'a'.repeat(40)}`, 'invalid checksum digest length'],
    [`a/${'b/'.repeat(130)}c`, 'repository name must not be more than 255 characters'],
  ] as const) {
    test(`${text.slice(0, 40)} is refused: ${want.slice(0, 50)}`, () => {
      assert.deepEqual(parseReference(text), { ok: false, error: want });
    });
  }

  test('the familiar form leaves out what Docker adds', () => {
    const short = ['alpine:3', 'me/app:1', 'localhost:5000/x:1'].map((t) => {
      const ref = parseReference(t);
      return ref.ok ? familiarReference(ref.value) : ref.error;
    });
    assert.deepEqual(short, ['alpine:3', 'me/app:1', 'localhost:5000/x:1']);
  });
});

describe('platforms', () => {
  for (const [text, want] of [
    ['linux/amd64', 'linux/amd64'],
    ['arm64', 'linux/arm64'],
    ['linux/arm64/v8', 'linux/arm64/v8'],
    ['linux/aarch64', 'linux/arm64'],
    ['linux/arm', 'linux/arm'],
    ['linux/arm/v6', 'linux/arm/v6'],
    ['armhf', 'linux/arm'],
    ['x86_64', 'linux/amd64'],
    ['windows', 'windows/amd64'],
    ['windows(10.0.17763)/amd64', 'windows(10.0.17763)/amd64'],
  ] as const) {
    test(`${text} is ${want}`, () => {
      const parsed = parsePlatform(text, linux);
      assert.equal(parsed.ok ? formatPlatform(parsed.value) : parsed.error, want);
    });
  }

  test('a word that is neither system nor architecture is refused', () => {
    assert.deepEqual(parsePlatform('potato', linux), {
      ok: false,
      error: '"potato": unknown operating system or architecture: invalid argument',
    });
  });

  test('an exact variant wins over an older one, and nothing serves another architecture', () => {
    const have: Platform[] = [
      { os: 'linux', architecture: 'arm', variant: 'v6' },
      { os: 'linux', architecture: 'arm', variant: 'v7' },
      { os: 'linux', architecture: 'arm64', variant: 'v8' },
    ];
    const pick = (p: Platform): string | undefined => {
      const got = pickPlatform(have, (h) => h, p);
      return got === undefined ? undefined : formatPlatform(got);
    };
    assert.deepEqual(
      [
        pick({ os: 'linux', architecture: 'arm' }),
        pick({ os: 'linux', architecture: 'arm', variant: 'v6' }),
        pick({ os: 'linux', architecture: 'arm64' }),
        pick(linux),
      ],
      ['linux/arm/v7', 'linux/arm/v6', 'linux/arm64/v8', undefined],
    );
  });
});

describe('manifests', () => {
  for (const [name, text, want] of [
    ['not JSON', '{', /is no image manifest/],
    ['schema 1', '{"schemaVersion":1}', /schema version 1, expected 2/],
    [
      'both kinds',
      '{"schemaVersion":2,"manifests":[],"layers":[]}',
      /both an index and a manifest/,
    ],
    [
      'negative size',
      `{"schemaVersion":2,"config":{"mediaType":"x","digest":"sha256:${hex}","size":-1}}`,
      /config: needs a size in bytes, not -1/,
    ],
    [
      'path as digest',
      '{"schemaVersion":2,"config":{"mediaType":"x","digest":"../../etc","size":1}}',
      /config: needs a sha256 digest/,
    ],
  ] as const) {
    test(`a manifest with ${name} is refused`, () => {
      const got = decodeManifest(Buffer.from(text), 'x');
      assert.ok(!got.ok);
      assert.match(got.error.message, want);
    });
  }

  test('configurations and manifests have the bytes that BuildKit gave them', needsGolden, () => {
    const differ: string[] = [];
    let count = 0;
    for (const name of goldenNames('cachekeys').filter(
      (n) => /^[0-9]/.test(n) && !n.includes('error'),
    )) {
      const image = goldenJson<{
        config: Record<string, unknown>;
        about: { manifestDigest: string | null };
      }>(`cachekeys/${name}/image.json`);
      const raw = goldenJson<unknown>(`cachekeys/${name}/image-manifest.json`);
      const decoded = decodeManifest(Buffer.from(JSON.stringify(raw)), name);
      if (!decoded.ok || decoded.value.kind !== 'manifest') {
        differ.push(`${name}: not decoded`);
        continue;
      }
      const { manifest } = decoded.value;
      count++;
      const config = encodeImageConfig(image.config);
      if (sha256(config) !== manifest.config.digest)
        differ.push(`${name}: config ${config.length} of ${manifest.config.size} bytes`);
      const want = image.about.manifestDigest;
      if (want !== null && sha256(encodeManifest(manifest)) !== want)
        differ.push(`${name}: manifest`);
    }
    note(`image configurations and manifests: ${count - differ.length} of ${count} equal`);
    assert.deepEqual(differ, []);
  });
});
