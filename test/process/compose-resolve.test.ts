import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { DebianRepo, needsDebianTools } from '../rig/debian-repo.ts';
import { Rig } from '../rig/rig.ts';

const wanted = needsDebianTools;
let repo: DebianRepo | undefined;
let rig: Rig;

before(async () => {
  rig = new Rig();
  if (wanted.skip !== undefined) return;
  repo = await DebianRepo.start();
  repo.add(
    { name: 'base', fields: { Essential: 'yes' } },
    { name: 'app', fields: { Depends: 'library (>= 1), tool | other' } },
    { name: 'library', version: '1.2-1' },
    { name: 'tool' },
  );
  repo.publish('stable');
  rig.write(
    'root.yml',
    `suite: stable\nvariant: essential\nmirrors: [{uri: "${repo.uri}", signed-by: "${repo.keyring()}"}]\npackages: [app]\n`,
  );
});
after(async () => {
  await repo?.[Symbol.asyncDispose]();
  await rig[Symbol.asyncDispose]();
});

test(
  'resolve says which packages a root has, and why each, and downloads none',
  wanted,
  async () => {
    const run = await rig.varve(['compose', 'resolve', 'root.yml']);
    assert.equal(run.status, 0, run.stderr);
    assert.deepEqual(run.stdout.replace(/[\d.]+ ?k?B/, 'SIZE').split('\n'), [
      'NAME      VERSION   ARCH    WHY',
      'app       1.0       amd64   asked for',
      'base      1.0       amd64   essential',
      'library   1.2-1     amd64   needed by app (Depends: library (>= 1))',
      'tool      1.0       amd64   needed by app (Depends: tool | other)',
      '',
      '4 packages, SIZE of debian stable amd64',
      '',
    ]);
    assert.deepEqual(
      repo?.requests.filter((r) => r.endsWith('.deb')),
      [],
    );
  },
);

test('resolve writes a lock, and its JSON is the lock', wanted, async () => {
  const run = await rig.varve(['compose', 'resolve', 'root.yml', '--json', '--lock', 'root.lock']);
  assert.equal(run.status, 0, run.stderr);
  const lock = JSON.parse(run.stdout) as {
    readonly packages: readonly { readonly name: string; readonly needs: readonly string[] }[];
  };
  assert.deepEqual(
    lock.packages.map((p) => [p.name, p.needs]),
    [
      ['app', ['library', 'tool']],
      ['base', []],
      ['library', []],
      ['tool', []],
    ],
  );
  const written = JSON.parse(readFileSync(join(rig.work, 'root.lock'), 'utf8')) as {
    readonly roots: Readonly<Record<string, unknown>>;
  };
  assert.deepEqual(written.roots, { root: lock });
});

test('resolve explains what cannot be had', wanted, async () => {
  rig.write('bad.yml', readFileSync(join(rig.work, 'root.yml'), 'utf8').replace('[app]', '[apq]'));
  const run = await rig.varve(['compose', 'resolve', 'bad.yml']);
  assert.deepEqual(
    [run.status, run.stdout, run.stderr.split('\n').slice(0, 2)],
    [2, '', ['error[PK031]: no package apq in stable', ' --> bad.yml:4:12']],
  );
});
