import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cacheFromFlag, cacheToFlag } from '../../../src/cli/flags/cache.ts';
import { ciScopes } from '../../../src/cli/flags/cache-scope.ts';
import { scopeTag } from '../../../src/remotes/index.ts';

type Env = Readonly<Record<string, string>>;

const PULL: Env = {
  GITHUB_REF: 'refs/pull/7/merge',
  GITHUB_HEAD_REF: 'main',
  GITHUB_BASE_REF: 'release/1',
};

/** Scopes that a flag reads, or why it is refused. */
function reads(text: string, env: Env = {}): unknown {
  const places = cacheFromFlag(text, { cwd: '/srv', env });
  return places.ok
    ? places.value.map((place) => ('ref' in place ? place.ref : place.scope))
    : places.error.message;
}

/** The scope that a flag writes, or why it is refused. */
function writes(settings: string, env: Env = {}): unknown {
  const target = cacheToFlag(`type=dir,path=d${settings}`, { cwd: '/srv', env });
  return target.ok ? target.value.scope : `${target.error.code} ${target.error.message}`;
}

test('runs of CI have a scope that no branch has, and read their branch, its base and main', () => {
  const gitlab = { CI_COMMIT_REF_NAME: 'feature', CI_DEFAULT_BRANCH: 'trunk' };
  assert.deepEqual(
    [
      {},
      { GITHUB_REF: 'refs/heads/feature' },
      { GITHUB_REF: 'refs/heads/main' },
      { GITHUB_REF: 'refs/tags/main' },
      PULL,
      gitlab,
      {
        ...{ ...gitlab, CI_MERGE_REQUEST_IID: '3' },
        CI_MERGE_REQUEST_TARGET_BRANCH_NAME: 'release',
      },
    ].map(ciScopes),
    [
      undefined,
      { own: 'feature', fallback: ['main'] },
      { own: 'main', fallback: [] },
      { own: 'tag/main', fallback: ['main'] },
      { own: 'pull/7', fallback: ['main', 'release/1'] },
      { own: 'feature', fallback: ['trunk'] },
      { own: 'pull/3', fallback: ['feature', 'release', 'trunk'] },
    ],
  );
});

test('scopes are read in order, each from a place of its own', () => {
  assert.deepEqual(
    [
      reads('type=registry,ref=r.test/a,scope=x,fallback=y;main'),
      reads('type=registry,ref=r.test/a:c,scope=x'),
      reads('type=dir,path=d,scope=auto', PULL),
      reads('type=dir,path=d,scope=auto,fallback=other', PULL),
      reads('type=dir,path=d,scope=auto'),
      reads('type=dir,path=d,fallback=x'),
    ],
    [
      ['r.test/a:x', 'r.test/a:y', 'r.test/a:main'],
      ['r.test/a:c-x'],
      ['pull/7', 'main', 'release/1'],
      ['pull/7', 'other'],
      '--cache-from "type=dir,path=d,scope=auto": scope=auto needs the environment of GitHub Actions or GitLab CI',
      '--cache-from "type=dir,path=d,fallback=x": fallback needs scope',
    ],
  );
});

test('a build writes the scopes it has the right to, and no others', () => {
  const denied = (why: string): string => `RC032 --cache-to: ${why}`;
  const rights = { VARVE_CACHE_RIGHTS: 'pull/*;test' };
  assert.deepEqual(
    [
      writes(''),
      writes(',scope=main'),
      writes('', PULL),
      writes(',scope=auto', PULL),
      writes(',scope=main', PULL),
      writes(',scope=main', rights),
      writes(',scope=pull/9', { ...PULL, ...rights }),
      writes('', rights),
      writes(',scope=test,rights=main', rights),
      writes(',scope=main,rights=main', rights),
      writes(',scope=x', { VARVE_CACHE_RIGHTS: '' }),
    ],
    [
      undefined,
      'main',
      undefined,
      'pull/7',
      denied('the scope "main" may not be written: this build may write "pull/7"'),
      denied('the scope "main" may not be written: this build may write "pull/*", "test"'),
      'pull/9',
      denied('no scope is named, and only "pull/*", "test" may be written'),
      denied('the scope "test" may not be written: this build may write "main"'),
      denied('the scope "main" may not be written: this build may write "pull/*", "test"'),
      denied('the scope "x" may not be written: this build may write no scope'),
    ],
  );
});

test('no two scopes have one tag, whatever a branch is called', () => {
  const names = [
    'main',
    'a/b',
    'a-b',
    'a.b',
    'a b',
    'release-1.2',
    'main.mounts',
    '..',
    'x'.repeat(200),
  ];
  const all = [...names, ...names.map(scopeTag)];
  const tags = new Map(all.map((name) => [scopeTag(name), name]));
  assert.equal(tags.size, new Set(all).size);
  for (const tag of tags.keys()) assert.match(tag, /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/);
  assert.deepEqual(['main', 'a-b', 'release-1.2'].map(scopeTag), ['main', 'a-b', 'release-1.2']);
  assert.notEqual(scopeTag('main.mounts'), 'main.mounts');
});
