import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { sha256 } from '../../src/base/index.ts';
import { BUSYBOX, needsSteps, Rig } from '../rig/rig.ts';

const CHROMIUM = '/usr/bin/chromium';

const FILE = `${BUSYBOX}COPY code /code
RUN busybox chown -R 5 /code && echo built > /out
`;

async function builtTwice(): Promise<Rig> {
  const rig = new Rig();
  rig.context('app', { Dockerfile: FILE, 'code/a': 'one\n', 'code/b': 'two\n' });
  for (const [tag, text] of Object.entries({ 'app:1': 'one\n', 'app:2': 'other\n' })) {
    rig.write('app/code/a', text);
    const run = await rig.varve(['build', '-q', '-t', tag, 'app']);
    assert.equal(run.status, 0, run.stderr);
  }
  return rig;
}

/** The size in the header of a PNG file (PNG 3rd edition, 11.2.1). */
const sizeOfPng = (png: Buffer): readonly number[] => [png.readUInt32BE(16), png.readUInt32BE(20)];

describe('varve report', { skip: needsSteps }, () => {
  test('prints what the history of real builds says', async () => {
    await using rig = await builtTwice();
    const run = await rig.varve(['report', '--format', 'markdown']);
    assert.equal(run.status, 0, run.stderr);
    const lasting = run.stdout
      .replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d UTC/g, 'WHEN')
      .replace(/last build [0-9a-f]+/, 'last build B')
      .replaceAll(/\d+\.\d+ s/g, 'T')
      .replaceAll(/\d+\.\d MB/g, 'SIZE');
    const section = (title: string): string | undefined =>
      lasting
        .split(/^## /m)
        .find((part) => part.startsWith(title))
        ?.trimEnd();
    assert.equal(
      section('Causes'),
      'Causes of misses\n\n| what changed | kind | builds | cost |\n| --- | --- | --- | --- |\n| code/a | file | 1 | T |',
    );
    assert.match(
      section('# Varve') ?? lasting,
      /WHEN; last build B: 2 steps found, 2 ran, T, T saved\./,
    );
    assert.equal(
      section('Layers'),
      `Layers

| layer | size | wasted |
| --- | --- | --- |
| COPY busybox /bin/sh \\# buildkit | SIZE | 0 B |
| COPY busybox /bin/busybox \\# buildkit | SIZE | 0 B |
| COPY code /code \\# buildkit | 10 B | 10 B |
| RUN /bin/sh -c busybox chown -R 5 /code && echo built \\> /out \\# buildkit | 16 B | 0 B |`,
    );
  });

  test('makes a page that a browser draws, light and dark', {
    skip: existsSync(CHROMIUM) ? false : 'needs chromium',
  }, async () => {
    await using rig = await builtTwice();
    const made = await rig.varve(['report', '-o', 'r.html']);
    assert.deepEqual(made, { status: 0, stdout: '', stderr: 'wrote r.html\n' });
    const shots = ['0', '1'].map((scheme) => {
      const png = join(rig.root, `${scheme}.png`);
      const run = spawnSync(
        CHROMIUM,
        [
          ...['--headless', '--no-sandbox', '--disable-gpu', '--hide-scrollbars'],
          ...['--host-resolver-rules=MAP * ~NOTFOUND', `--user-data-dir=${rig.root}/chromium`],
          `--blink-settings=preferredColorScheme=${scheme}`,
          ...['--window-size=1000,1200', `--screenshot=${png}`, `file://${rig.work}/r.html`],
        ],
        { encoding: 'utf8' },
      );
      assert.equal(run.status, 0, run.stderr);
      return readFileSync(png);
    });
    assert.deepEqual(shots.map(sizeOfPng), [
      [1000, 1200],
      [1000, 1200],
    ]);
    // A blank page of this size is a few kilobytes.
    assert.deepEqual(
      shots.map(({ length }) => length > 40_000),
      [true, true],
    );
    assert.notEqual(sha256(shots[0] ?? ''), sha256(shots[1] ?? ''));
  });

  test('image diff names what differs, and ends like diff(1)', async () => {
    await using rig = await builtTwice();
    const [same, other] = [
      await rig.varve(['image', 'diff', 'app:1', 'app:1']),
      await rig.varve(['image', 'diff', 'app:1', 'app:2']),
    ];
    assert.deepEqual(same, {
      status: 0,
      stdout: 'the images have the same files and configuration\n',
      stderr: '',
    });
    assert.deepEqual(other, {
      status: 1,
      stdout: 'files\n  C   code/a   +2B   content\n\n0 added, 0 removed, 1 changed: +2B\n',
      stderr: '',
    });
  });
});
