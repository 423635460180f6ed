import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ok, type Result } from '../../../src/base/index.ts';
import * as llb from '../../../src/llb/index.ts';
import * as oci from '../../../src/oci/index.ts';

const HOST = { os: 'linux', architecture: 'amd64' };
const OP_HOST = { OS: 'linux', Architecture: 'amd64' };

test('a specifier is read into the platform that containerd reads, for documents and for ops', () => {
  const pattern =
    '"^([A-Za-z0-9_-]+)(?:\\\\(([A-Za-z0-9_.%-]*)((?:\\\\+[A-Za-z0-9_.%-]+)*)\\\\))?$"';
  const cases: readonly (readonly [string, string, string])[] = [
    // Specifier, as documents have it, as ops have it in their normal form.
    ['linux', 'linux/amd64', 'linux/amd64'],
    ['Linux/ARM64', 'linux/arm64', 'linux/arm64'],
    ['arm64', 'linux/arm64', 'linux/arm64'],
    ['aarch64', 'linux/arm64', 'linux/arm64'],
    ['arm', 'linux/arm', 'linux/arm/v7'],
    ['armel', 'linux/arm/v6', 'linux/arm/v6'],
    ['linux/arm/7', 'linux/arm/v7', 'linux/arm/v7'],
    ['linux/arm64/v8', 'linux/arm64/v8', 'linux/arm64'],
    ['linux/arm64/v8.0', 'linux/arm64/v8', 'linux/arm64'],
    ['linux/arm64/9.0', 'linux/arm64/v9', 'linux/arm64/v9'],
    ['linux/arm64/v9.2', 'linux/arm64/v9.2', 'linux/arm64/v9.2'],
    ['linux/amd64/v1', 'linux/amd64', 'linux/amd64'],
    ['linux/x86-64/v3', 'linux/amd64/v3', 'linux/amd64/v3'],
    ['macos', 'darwin/amd64', 'darwin/amd64'],
    ['windows(10.0.17763)/amd64', 'windows(10.0.17763)/amd64', 'windows(10.0.17763)/amd64'],
    [
      'windows(10.0+win32k+a+win32k)/amd64',
      'windows(10.0+a+win32k)/amd64',
      'windows(10.0+a+win32k)/amd64',
    ],
    ['linux(+a%2Fb)/amd64', 'linux(+a%2Fb)/amd64', 'linux(+a%2Fb)/amd64'],
    ['foo/bar', 'foo/bar', 'foo/bar'],
    ...[
      ['*', '"*": wildcards not yet supported: invalid argument'],
      ['foo', '"foo": unknown operating system or architecture: invalid argument'],
      ['a/b/c/d', '"a/b/c/d": cannot parse platform specifier: invalid argument'],
      [
        'a/b/c/d/e',
        '"d/e" is an invalid component of "a/b/c/d/e": platform specifier component must match "^[A-Za-z0-9_.-]+$": invalid argument',
      ],
      [
        'a b',
        `"a b" is an invalid OS component of "a b": OSAndVersion specifier component must match ${pattern}: invalid argument`,
      ],
      [
        'linux(1%2)/amd64',
        '"linux(1%2)/amd64": has an invalid OS version "1%2": invalid URL escape: invalid argument',
      ],
    ].map(([text = '', error = '']) => [text, error, error] as const),
  ];
  const shown = <T>(parsed: Result<T, string>, format: (p: T) => string): string =>
    parsed.ok ? format(parsed.value) : parsed.error;
  assert.deepEqual(
    cases.map(([text]) => [
      text,
      shown(oci.parsePlatform(text, HOST), oci.formatPlatform),
      shown(llb.parsePlatform(text, OP_HOST), llb.formatPlatform),
    ]),
    cases,
  );
});

test('version and features of a platform are the same in documents and ops, features sorted and once', () => {
  const text = 'windows(10.0.1+b+a+b)/amd64';
  assert.deepEqual(
    [oci.parsePlatform(text, HOST), llb.parsePlatform(text, OP_HOST)],
    [
      ok({
        architecture: 'amd64',
        os: 'windows',
        'os.version': '10.0.1',
        'os.features': ['b', 'a', 'b'],
      }),
      ok({
        Architecture: 'amd64',
        OS: 'windows',
        OSVersion: '10.0.1',
        OSFeatures: ['a', 'b'],
      }),
    ],
  );
});

test('an image for an older variant of arm64 runs on a newer one, and the newest that runs is picked', () => {
  const variants = [undefined, 'v8.1', 'v8.5', 'v8.9', 'v9', 'v9.1'];
  const have = variants.map((variant) => ({
    ...{ os: 'linux', architecture: 'arm64' },
    ...(variant === undefined ? {} : { variant }),
  }));
  const pick = (variant: string): unknown =>
    oci.pickPlatform(have, (p) => p, { os: 'linux', architecture: 'arm64', variant })?.variant;
  assert.deepEqual(
    ['v8', 'v8.4', 'v8.9', 'v9', 'v9.5'].map((variant) => [variant, pick(variant)]),
    [
      ['v8', undefined],
      ['v8.4', 'v8.1'],
      ['v8.9', 'v8.9'],
      ['v9', 'v9'],
      ['v9.5', 'v9.1'],
    ],
  );
});
