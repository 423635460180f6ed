import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { BUSYBOX, needsSteps, Rig, statesOf } from '../rig/rig.ts';

const EPOCH = 86_400;
const OTHER = 'other-store';

/** Whiteouts, an opaque directory, a hard link, a changed mode and an older file: what a layer can say. */
const STEPS = `RUN busybox mkdir -p /d/sub /gone && echo x > /d/sub/x && echo y > /gone/y && busybox ln /d/sub/x /d/link
RUN busybox rm -r /gone /d/sub && busybox mkdir /d/sub && echo z > /d/sub/z && busybox chmod 700 /d
COPY a /a
WORKDIR /w
`;

describe('rewrite-timestamp', { skip: needsSteps }, () => {
  for (const compression of ['gzip', 'zstd'])
    test(`layers that came with a ${compression} cache are rewritten as those that were made here`, async () => {
      await using rig = new Rig();
      rig.context('app', { Dockerfile: `${BUSYBOX}${STEPS}`, a: 'a' });
      const built = await build(rig, 'made', [
        '--cache-to',
        `type=local,dest=cache,mode=max,compression=${compression}`,
      ]);
      assert.ok(Object.values(built.states).every((state) => state === 'DONE'));
      const imported = await build(
        rig,
        'imported',
        ['--cache-from', 'type=local,src=cache'],
        OTHER,
      );
      const steps = Object.entries(imported.states).filter(([name]) => /^\[\d/.test(name));
      assert.deepEqual(
        steps.map(([, state]) => state),
        steps.map(() => 'CACHED'),
      );
      assert.deepEqual(imported.index, built.index);
    });

  test('layers of a base image keep their times and their digests, wherever they come from', async () => {
    await using rig = new Rig();
    rig.context('base', { Dockerfile: `${BUSYBOX}RUN echo base > /base\n` });
    const made = await rig.varve(['build', '-o', 'type=oci,dest=base-layout,tar=false', 'base']);
    assert.equal(made.status, 0, made.stderr);
    const base = layersOf(join(rig.work, 'base-layout'));
    rig.context('app', { Dockerfile: 'FROM base\nCOPY a /a\n', a: 'a' });
    const named = ['--build-context', 'base=oci-layout://base-layout'];
    const first = await build(rig, 'made', [
      ...[...named, '--cache-to', 'type=local,dest=cache,mode=max'],
    ]);
    const from = [...named, '--cache-from', 'type=local,src=cache'];
    const second = await build(rig, 'imported', from, OTHER);
    assert.deepEqual(second.index, first.index);
    assert.deepEqual(layersOf(join(rig.work, 'imported')).slice(0, base.length), base);
    assert.equal(layersOf(join(rig.work, 'imported')).length, base.length + 1);
  });
});

/** Builds `app` into a layout; its index, and what became of each step. */
async function build(
  rig: Rig,
  to: string,
  args: readonly string[],
  store = 'store',
): Promise<{ readonly index: string; readonly states: Readonly<Record<string, string>> }> {
  const run = await rig.varve(
    [
      ...['build', '--progress=rawjson', '--build-arg', `SOURCE_DATE_EPOCH=${EPOCH}`, ...args],
      ...['-o', `type=oci,dest=${to},tar=false,rewrite-timestamp=true`, 'app'],
    ],
    { env: { VARVE_ROOT: join(rig.root, store) } },
  );
  assert.equal(run.status, 0, run.stderr);
  const index = readFileSync(join(rig.work, to, 'index.json'), 'utf8');
  return { index, states: statesOf(run.stderr) };
}

/** Digests of the layers of a layout's image. */
function layersOf(layout: string): readonly string[] {
  interface Named {
    readonly digest: string;
  }
  const read = (path: string): { readonly manifests?: Named[]; readonly layers?: Named[] } =>
    JSON.parse(readFileSync(join(layout, path), 'utf8')) as ReturnType<typeof read>;
  const [first] = read('index.json').manifests ?? [];
  const layers = read(`blobs/${(first?.digest ?? '').replace(':', '/')}`).layers ?? [];
  return layers.map(({ digest }) => digest);
}
