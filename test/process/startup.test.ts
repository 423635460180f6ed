import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Rig } from '../rig/rig.ts';

const ROOT = join(import.meta.dirname, '../..');

test('a build with nothing to do loads none of the big libraries', async () => {
  await using rig = new Rig();
  const lines = Array.from({ length: 59 }, (_, i) => `COPY f /f${i}\n`);
  rig.write('app/Dockerfile', `FROM scratch\n${lines.join('')}`);
  rig.write('app/f', 'x');
  const first = await rig.varve(['build', '--progress=quiet', 'app']);
  assert.deepEqual(first, { status: 0, stdout: '', stderr: '' });
  const list = join(rig.work, 'loaded');
  rig.write(
    'trace.mjs',
    `import { registerHooks } from 'node:module';
import { appendFileSync } from 'node:fs';
registerHooks({ load: (url, context, next) => { appendFileSync(${JSON.stringify(list)}, url + '\\n'); return next(url, context); } });
`,
  );
  execFileSync(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      ...['--import', join(rig.work, 'trace.mjs'), join(ROOT, 'src/cli/main.ts')],
      ...['build', '--progress=quiet', 'app'],
    ],
    { cwd: rig.work, env: { PATH: process.env['PATH'], VARVE_ROOT: rig.store } },
  );
  assert.ok(existsSync(list));
  const packages = readFileSync(list, 'utf8')
    .split('\n')
    .flatMap((url) => /\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1] ?? []);
  assert.deepEqual([...new Set(packages)].sort(), ['commander', 'picocolors']);
});
