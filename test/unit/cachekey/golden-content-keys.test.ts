import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contentKey, contentRecordDigest } from '../../../src/cachekey/index.ts';
import { decodeOp } from '../../../src/llb/index.ts';
import { goldenJson, needsGolden, note } from '../../rig/golden.ts';
import { type MemoryEntry, MemoryTree } from '../../rig/memory-tree.ts';

interface GoldenEntry {
  readonly path: string;
  readonly type: MemoryEntry['type'];
  readonly mode?: string;
  readonly content?: string;
  readonly contentBase64?: string;
  readonly target?: string;
  readonly xattrs?: Readonly<Record<string, string>>;
}

function entryOf(e: GoldenEntry): MemoryEntry {
  return {
    path: e.path,
    type: e.type,
    mode: Number.parseInt(e.mode ?? (e.type === 'dir' ? '0755' : '0644'), 8),
    content:
      e.contentBase64 === undefined ? (e.content ?? '') : Buffer.from(e.contentBase64, 'base64'),
    ...(e.target === undefined ? {} : { target: e.target }),
    xattrs: new Map(Object.entries(e.xattrs ?? {}).map(([k, v]) => [k, Buffer.from(v)])),
  };
}

test(
  'content keys of contexts are the records of a cache that BuildKit exported',
  needsGolden,
  async () => {
    const problems: string[] = [];
    let count = 0;
    for (const name of ['02-copy', '03-copy-flags', '15-copy-links', '22-context-xattrs']) {
      const { entries } = goldenJson<{ entries: GoldenEntry[] }>(`cachekeys/${name}/case.json`);
      const hidden = (path: string): boolean =>
        name === '02-copy' && (path === 'ignored' || /^[^/]*\.log$/.test(path));
      const tree = new MemoryTree(entries.filter((e) => !hidden(e.path)).map(entryOf), 'empty');
      const records = new Set(
        goldenJson<{ digest: string }[]>(`cachekeys/${name}/cache-records.json`).map(
          (r) => r.digest,
        ),
      );
      const ops = goldenJson<{ digest: string; pb: string }[]>(`cachekeys/${name}/llb.json`).map(
        ({ digest, pb }) => {
          const op = decodeOp(Buffer.from(pb, 'base64'));
          if (!op.ok) throw new Error(op.error);
          return { digest, op: op.value };
        },
      );
      const contexts = new Set(
        ops.flatMap(({ digest, op }) =>
          op.body.kind === 'source' && op.body.source.identifier === 'local://context'
            ? [digest]
            : [],
        ),
      );
      for (const { op } of ops) {
        for (const [i, input] of op.inputs.entries()) {
          if (!contexts.has(input.digest)) continue;
          count++;
          const key = await contentKey(op, i, tree, new AbortController().signal);
          const record = key.ok ? contentRecordDigest(key.value) : key.error;
          if (!records.has(record))
            problems.push(`${name}: ${record} ${JSON.stringify(op.body.kind)}`);
        }
      }
    }
    note(`content keys: ${count - problems.length} of ${count} are records`);
    assert.deepEqual(problems, []);
    assert.notEqual(count, 0);
  },
);
