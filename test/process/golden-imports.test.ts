import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { sha256 } from '../../src/base/index.ts';
import { GOLDEN, goldenJson, goldenNames, needsGolden, note } from '../rig/golden.ts';
import { type GoldenCase, writeEntries } from '../rig/golden-case.ts';
import { startFaultyProxy } from '../rig/registry.ts';
import { needsSteps, Rig, statesOf } from '../rig/rig.ts';

/** Cases whose cache holds every step: with `min` or inside an image the other stages have no results. */
const cases = goldenNames('cachekeys').filter((n) => /^\d/.test(n) && !/error|inline/.test(n));
let hits = 0;
after(() =>
  note(`golden imports: ${hits} of ${cases.length} caches of BuildKit answer every step`),
);

/** Serves a cache as BuildKit wrote it, without a single layer. */
async function startCache(name: string): ReturnType<typeof startFaultyProxy> {
  const dir = join(GOLDEN ?? '', 'cachekeys', name);
  const config = readFileSync(join(dir, 'cache-config.json'), 'utf8');
  const manifest = JSON.stringify({
    ...goldenJson<object>(`cachekeys/${name}/cache-manifest.json`),
    config: {
      mediaType: 'application/vnd.buildkit.cacheconfig.v0',
      digest: sha256(config),
      size: Buffer.byteLength(config),
    },
  });
  const type = 'application/vnd.oci.image.manifest.v1+json';
  return await startFaultyProxy(undefined, ({ path }) => {
    if (path.endsWith('/manifests/main'))
      return { kind: 'status', status: 200, headers: { 'content-type': type }, body: manifest };
    return path.endsWith(sha256(config))
      ? { kind: 'status', status: 200, body: config }
      : undefined;
  });
}

for (const name of cases) {
  const skip = needsGolden.skip ?? needsSteps;
  test(`${name}: a cache of BuildKit whose layers are gone answers every step`, {
    skip,
  }, async () => {
    const one = goldenJson<GoldenCase>(`cachekeys/${name}/case.json`);
    await using rig = new Rig();
    await using cache = await startCache(name);
    writeEntries(join(rig.work, 'context'), one.entries);
    const env: Record<string, string> = {};
    const args = ['build', '--progress=rawjson', '-t', 'x'];
    for (const [key, value] of Object.entries(one.opts ?? {})) {
      if (key.startsWith('build-arg:')) args.push('--build-arg', `${key.slice(10)}=${value}`);
      else if (key.startsWith('label:')) args.push('--label', `${key.slice(6)}=${value}`);
      else args.push(`--${key}=${value}`);
    }
    for (const [id, value] of Object.entries(one.secrets ?? {})) {
      env[`SECRET_${id}`] = value;
      args.push('--secret', `id=${id},env=SECRET_${id}`);
    }
    const base = `base=oci-layout://${join(GOLDEN ?? '', 'cachekeys/base')}:latest`;
    const from = `type=registry,ref=${cache.host}/team/cache:main`;
    const run = await rig.varve(
      [...args, '--build-context', base, '--cache-from', from, 'context'],
      {
        env,
      },
    );
    assert.equal(run.status, 0, run.stderr);
    const steps = Object.entries(statesOf(run.stderr)).filter(([step]) =>
      /^\[(?!context )/.test(step),
    );
    assert.ok(steps.length > 0);
    assert.deepEqual(
      steps.filter(([step, state]) => state !== 'CACHED' && !/ FROM /.test(step)),
      [],
    );
    hits++;
  });
}
