import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { FILE_INDEX_MEDIA_TYPE } from '../../src/oci/index.ts';
import { BUSYBOX, needsSteps, Rig, statesOf } from '../rig/rig.ts';

const DOCKERFILE = `${BUSYBOX}COPY etc /etc
RUN --network=none mkdir /app && echo kept > /app/kept
COPY --chown=app code /app/
`;
const STEP = '[5/5] COPY --chown=app code /app/';

/** The files of a cache directory with file indexes. */
function indexFiles(dir: string): string[] {
  const blobs = join(dir, 'blobs/sha256');
  for (const name of readdirSync(blobs)) {
    const text = readFileSync(join(blobs, name), 'latin1');
    if (!text.startsWith('{') || !text.includes(FILE_INDEX_MEDIA_TYPE)) continue;
    // A manifest that this program wrote.
    const { layers } = JSON.parse(text) as {
      readonly layers: readonly { readonly mediaType: string; readonly digest: string }[];
    };
    return layers
      .filter(({ mediaType }) => mediaType === FILE_INDEX_MEDIA_TYPE)
      .map(({ digest }) => join(blobs, digest.slice('sha256:'.length)));
  }
  return [];
}

const CASES: Readonly<Record<string, (file: string) => void>> = {
  whole: () => undefined,
  missing: (file) => rmSync(file),
  damaged: (file) => writeFileSync(file, Buffer.alloc(readFileSync(file).length, 7)),
};

test('an index that cannot be used costs the layers, never the build', {
  skip: needsSteps,
}, async () => {
  await using rig = new Rig();
  const found: Record<string, unknown> = {};
  for (const [name, harm] of Object.entries(CASES)) {
    rig.context('app', {
      Dockerfile: DOCKERFILE,
      'etc/passwd': 'app:x:7:8::/:/bin/sh\n',
      code: 'one\n',
    });
    const cache = join(rig.work, name);
    const made = await rig.varve([
      'build',
      '--cache-to',
      `type=local,dest=${cache},mode=max`,
      'app',
    ]);
    assert.equal(made.status, 0, made.stderr);
    const files = indexFiles(cache);
    assert.equal(files.length, 1);
    for (const file of files) harm(file);
    rig.write('app/code', 'two\n');
    const env = { VARVE_ROOT: join(rig.root, `store-${name}`) };
    const from = ['--progress=rawjson', '--cache-from', `type=local,src=${cache}`, 'app'];
    const run = await rig.varve(['build', ...from], { env });
    assert.equal(run.status, 0, run.stderr);
    const said = [...run.stderr.matchAll(/"short":"([^"]*)"/g)].map(
      ([, text]) =>
        Buffer.from(text ?? '', 'base64')
          .toString('utf8')
          .split(':')[0],
    );
    const out = join(rig.work, `${name}-out`);
    const local = ['-o', `type=local,dest=${out}`, 'app'];
    assert.equal((await rig.varve(['build', ...local], { env })).status, 0);
    found[name] = {
      ...{ step: statesOf(run.stderr)[STEP], said },
      extracted: run.stderr.includes('extracting '),
      files: ['kept', 'code'].map((file) => readFileSync(join(out, 'app', file), 'utf8')),
    };
  }
  const same = { step: 'DONE', files: ['kept\n', 'two\n'] };
  assert.deepEqual(found, {
    whole: { ...same, said: [], extracted: false },
    // A directory is looked into at import: what is not there is not offered.
    missing: { ...same, said: [], extracted: true },
    damaged: { ...same, said: ['CacheIndex'], extracted: true },
  });
});
