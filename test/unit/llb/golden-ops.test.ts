import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type GoJson, goJson } from '../../../src/base/index.ts';
import { decodeOp, encodeOp, opJson } from '../../../src/llb/index.ts';
import { goldenJson, goldenLines, goldenNames, needsGolden, note } from '../../rig/golden.ts';

interface GoldenOp {
  readonly name?: string;
  readonly op: GoJson;
  readonly pb: string;
}

const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([k, v]) => [k, sorted(v)]),
  );
};

function differences(name: string, golden: GoldenOp): string[] {
  const bytes = Buffer.from(golden.pb, 'base64');
  const op = decodeOp(bytes);
  if (!op.ok) return name.startsWith('passthrough/') ? [] : [`${name}: ${op.error}`];
  const problems: string[] = [];
  if (!Buffer.from(encodeOp(op.value)).equals(bytes)) problems.push(`${name}: bytes`);
  const json = JSON.stringify(sorted(JSON.parse(goJson(opJson(op.value)))));
  if (json !== JSON.stringify(sorted(golden.op))) problems.push(`${name}: ${json}`);
  return problems;
}

test(
  'ops of BuildKit decode and encode to the same bytes and the same Go JSON',
  needsGolden,
  () => {
    const cases: [string, GoldenOp][] = [];
    for (const file of ['handmade', 'client-library'])
      for (const line of goldenLines<GoldenOp>(`opkeys/${file}.jsonl`))
        cases.push([line.name ?? '', line]);
    for (const folder of ['corpus', 'corpus-features'])
      for (const name of goldenNames(folder).filter((n) => n !== 'index.json'))
        for (const line of goldenJson<{ llb: GoldenOp[] | null }>(`${folder}/${name}/golden.json`)
          .llb ?? [])
          cases.push([`${folder}/${name}`, line]);
    const problems = cases.flatMap(([name, golden]) => differences(name, golden));
    note(`ops: ${cases.length - problems.length} of ${cases.length} equal`);
    assert.deepEqual(problems, []);
  },
);
