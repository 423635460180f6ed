import { deepEqual } from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { runGit } from '../../../src/fetch/git-process.ts';

test('a repository that has moved takes no other host with it, whatever that host’s name begins with', async () => {
  const asked = async (moved: readonly [string, string], url: string): Promise<string> => {
    const done = await runGit(
      { env: { PATH: process.env['PATH'] ?? '' } },
      {
        doing: 'git',
        args: ['ls-remote', '--get-url', url],
        cwd: tmpdir(),
        signal: new AbortController().signal,
        moved: [moved],
      },
    );
    return done.ok ? done.value.stdout.trim() : done.error.message;
  };
  const host = ['https://git.co', 'https://evil.test/x'] as const;
  const port = ['http://127.0.0.1:44', 'http://127.0.0.1:5'] as const;
  const path = ['https://git.co/a/repo', 'https://new.test/b/repo'] as const;
  deepEqual(
    {
      'another host': await asked(host, 'https://git.company.test/private.git'),
      'another port': await asked(port, 'http://127.0.0.1:443/private.git'),
      'the host itself': await asked(host, 'https://git.co/'),
      'below the host': await asked(host, 'https://git.co/a'),
      'the repository': await asked(path, 'https://git.co/a/repo'),
      'another server': await asked(path, 'https://git.co.test/a/repo'),
    },
    {
      'another host': 'https://git.company.test/private.git',
      'another port': 'http://127.0.0.1:443/private.git',
      'the host itself': 'https://evil.test/x/',
      'below the host': 'https://evil.test/x/a',
      'the repository': 'https://new.test/b/repo',
      'another server': 'https://git.co.test/a/repo',
    },
  );
});
