import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { parseJson } from '../../src/base/index.ts';
import { startRegistry } from '../rig/registry.ts';
import { BUSYBOX, needsSteps, Rig } from '../rig/rig.ts';

interface Layer {
  readonly mediaType: string;
  readonly digest: string;
}

function json<T>(path: string): T {
  const parsed = parseJson(readFileSync(path, 'utf8'));
  assert.ok(parsed.ok);
  // Documents of an OCI layout; a wrong shape fails the comparison.
  return parsed.value as T;
}

const UNPACK: Readonly<Record<string, (blob: Uint8Array) => Uint8Array>> = {
  tar: (blob) => blob,
  'tar+gzip': (blob) => gunzipSync(blob),
  'tar+zstd': (blob) => zstdDecompressSync(blob),
};

function manifestOf(layout: string): { readonly layers: readonly Layer[] } {
  const index = json<{ readonly manifests: readonly Layer[] }>(join(layout, 'index.json'));
  const top = index.manifests[0]?.digest ?? '';
  return json(join(layout, 'blobs', top.replace(':', '/')));
}

/** The compression of each layer of a layout, and its diffID as its bytes have it. */
function layersOf(layout: string): readonly (readonly [string, string])[] {
  const blob = (digest: string): string => join(layout, 'blobs', digest.replace(':', '/'));
  return manifestOf(layout).layers.map((layer) => {
    const kind = /\.layer\.v1\.(.*)$/.exec(layer.mediaType)?.[1] ?? layer.mediaType;
    const tar = UNPACK[kind]?.(readFileSync(blob(layer.digest))) ?? new Uint8Array();
    return [kind, createHash('sha256').update(tar).digest('hex')];
  });
}

describe('compression of layers', { skip: needsSteps }, () => {
  test('new layers have the compression asked for, those of the base with force-compression; diffIDs never change', async () => {
    await using rig = new Rig();
    await using server = await startRegistry();
    rig.context('base', { Dockerfile: BUSYBOX });
    const base = `${server.host}/base:1`;
    const pushed = await rig.varve(['build', '--progress=quiet', '--push', '-t', base, 'base']);
    assert.equal(pushed.status, 0, pushed.stderr);
    await using other = new Rig();
    other.context('app', {
      Dockerfile: `FROM ${base}\nRUN echo one > /one\nRUN echo two > /two\n`,
    });
    const build = async (name: string, attrs: string): Promise<ReturnType<typeof layersOf>> => {
      const output = `type=oci,dest=${name},tar=false,${attrs}`;
      const run = await other.varve(['build', '--progress=quiet', '-o', output, 'app']);
      assert.deepEqual(run, { status: 0, stdout: '', stderr: '' });
      return layersOf(join(other.work, name));
    };
    const gzip = await build('gzip', 'compression=gzip');
    const ids = gzip.map(([, id]) => id);
    const as = (...kinds: readonly string[]): unknown => kinds.map((kind, i) => [kind, ids[i]]);
    const [g, z, u] = ['tar+gzip', 'tar+zstd', 'tar'];
    const got = {
      gzip,
      zstdForced: await build('c', 'compression=zstd,force-compression=true'),
      plainForced: await build('d', 'compression=uncompressed,force-compression=true'),
      gzipAgain: await build('e', 'compression=gzip,force-compression=true'),
    };
    assert.deepEqual(got, {
      gzip: as(g, g, g, g),
      zstdForced: as(z, z, z, z),
      plainForced: as(u, u, u, u),
      gzipAgain: as(g, g, g, g),
    });
    await using third = new Rig();
    third.context('app', { Dockerfile: `FROM ${base}\nRUN echo one > /one\n` });
    const output = 'type=oci,dest=o,tar=false,compression=zstd,compression-level=3';
    const run = await third.varve(['build', '--progress=quiet', '-o', output, 'app']);
    assert.equal(run.status, 0, run.stderr);
    assert.deepEqual(
      layersOf(join(third.work, 'o')).map(([kind]) => kind),
      [g, g, z],
    );
  });

  test('a layer most of which an earlier one had is the one that a store of its own makes, though the earlier is damaged', async () => {
    await using rig = new Rig();
    const lines = Array.from({ length: 100_000 }, (_, i) =>
      createHash('sha1').update(String(i)).digest('hex'),
    );
    const files = { 'tree/a': lines.slice(0, 50_000).join('\n'), 'tree/b': lines.join('\n') };
    const build = async (from: Rig, name: string): Promise<readonly Layer[]> => {
      from.context('app', { Dockerfile: 'FROM scratch\nCOPY tree /tree\n', ...files });
      utimesSync(join(from.work, 'app/tree/a'), 1, 1);
      utimesSync(join(from.work, 'app/tree/b'), 1, 1);
      utimesSync(join(from.work, 'app/tree'), 1, 1);
      const output = `type=oci,dest=${name},tar=false`;
      const run = await from.varve(['build', '--progress=quiet', '-o', output, 'app']);
      assert.deepEqual(run, { status: 0, stdout: '', stderr: '' });
      return manifestOf(join(from.work, name)).layers;
    };
    const [before] = await build(rig, 'before');
    files['tree/a'] = `${files['tree/a']} and more`;
    const after = await build(rig, 'after');
    assert.notEqual(after[0]?.digest, before?.digest);
    await using fresh = new Rig();
    assert.deepEqual(await build(fresh, 'fresh'), after);
    for (const layer of [before, ...after]) {
      const blob = join(rig.store, 'content/blobs', layer?.digest.replace(':', '/') ?? '');
      const bytes = readFileSync(blob);
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
      writeFileSync(blob, bytes);
    }
    files['tree/a'] = `${files['tree/a']} and more`;
    const damaged = await build(rig, 'damaged');
    await using other = new Rig();
    assert.deepEqual(await build(other, 'other'), damaged);
  });
});
