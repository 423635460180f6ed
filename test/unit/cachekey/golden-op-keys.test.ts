import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Digest } from '../../../src/base/index.ts';
import { opKey } from '../../../src/cachekey/index.ts';
import { decodeOp } from '../../../src/llb/index.ts';
import { goldenJson, goldenLines, goldenNames, needsGolden, note } from '../../rig/golden.ts';

interface GoldenOp {
  readonly name?: string;
  readonly pb: string;
  readonly cacheMap?: {
    readonly digest?: Digest;
    readonly deps?: readonly unknown[];
    readonly error?: string;
  } | null;
}

const stable = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(stable);
  if (typeof value !== 'object' || value === null) return value;
  const pairs = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(pairs.map(([k, v]) => [k, stable(v)]));
};

function difference(name: string, golden: GoldenOp): string | undefined {
  const op = decodeOp(Buffer.from(golden.pb, 'base64'));
  if (!op.ok) return `${name}: ${op.error}`;
  const key = opKey(op.value);
  const want = golden.cacheMap;
  if (want?.digest === undefined) return key.ok ? `${name}: a key where BuildKit fails` : undefined;
  const got = JSON.stringify(stable(key.ok ? key.value : key.error));
  const expected = JSON.stringify(stable({ digest: want.digest, deps: want.deps }));
  return got === expected ? undefined : `${name}:\n  got  ${got}\n  want ${expected}`;
}

test('keys of exec, file, merge and diff ops are those of BuildKit', needsGolden, () => {
  const cases: [string, GoldenOp][] = [];
  for (const file of ['handmade', 'client-library'])
    for (const line of goldenLines<GoldenOp>(`opkeys/${file}.jsonl`))
      if (!line.name?.startsWith('passthrough') && !(line.cacheMap === null))
        cases.push([line.name ?? '', line]);
  for (const folder of ['corpus', 'corpus-features'])
    for (const name of goldenNames(folder).filter((n) => n !== 'index.json'))
      for (const line of goldenJson<{ llb: GoldenOp[] | null }>(`${folder}/${name}/golden.json`)
        .llb ?? [])
        if (line.cacheMap) cases.push([`${folder}/${name}`, line]);
  const problems = cases.flatMap(([name, golden]) => difference(name, golden) ?? []);
  note(`op keys: ${cases.length - problems.length} of ${cases.length} equal`);
  assert.deepEqual(problems, []);
});
