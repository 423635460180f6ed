import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ContentSelector, contentHasher, type FileType } from '../../../src/cachekey/index.ts';
import { goldenJson, goldenNames, needsGolden, note } from '../../rig/golden.ts';
import { type MemoryEntry, MemoryTree } from '../../rig/memory-tree.ts';

interface GoldenEntry {
  readonly path: string;
  readonly type: FileType | 'hardlink';
  readonly mode?: string;
  readonly uid?: number;
  readonly gid?: number;
  readonly content?: string;
  readonly repeat?: readonly [string, number];
  readonly target?: string;
  readonly major?: number;
  readonly minor?: number;
  readonly xattrs?: Readonly<Record<string, string>>;
  readonly xattrs_b64?: Readonly<Record<string, string>>;
}

interface GoldenResult {
  readonly selector: ContentSelector;
  readonly rootfs?: string;
  readonly rootfsError?: string;
  readonly context?: string;
  readonly contextError?: string;
}

function memoryEntry(e: GoldenEntry, context: boolean): MemoryEntry {
  const text = e.repeat === undefined ? (e.content ?? '') : e.repeat[0].repeat(e.repeat[1]);
  const xattrs = new Map<string, Uint8Array>();
  for (const [k, v] of Object.entries(e.xattrs ?? {})) xattrs.set(k, Buffer.from(v));
  for (const [k, v] of Object.entries(e.xattrs_b64 ?? {})) xattrs.set(k, Buffer.from(v, 'base64'));
  return {
    path: e.path,
    type: e.type,
    ...(e.mode === undefined ? {} : { mode: Number.parseInt(e.mode, 8) }),
    uid: context ? 0 : (e.uid ?? 0),
    gid: context ? 0 : (e.gid ?? 0),
    content: text,
    ...(e.target === undefined ? {} : { target: e.target }),
    ...(e.major === undefined ? {} : { device: { major: e.major, minor: e.minor ?? 0 } }),
    xattrs,
  };
}

const signal = new AbortController().signal;

for (const form of ['rootfs', 'context'] as const) {
  test(`checksums of the golden trees as ${form} are those of BuildKit`, needsGolden, async () => {
    const problems: string[] = [];
    let count = 0;
    for (const name of goldenNames('contenthash')) {
      const golden = goldenJson<{ entries: GoldenEntry[]; results: GoldenResult[] }>(
        `contenthash/${name}`,
      );
      const entries = golden.entries.map((e) => memoryEntry(e, form === 'context'));
      const tree = new MemoryTree(entries, form === 'context' ? 'empty' : 'entry');
      for (const result of golden.results) {
        count++;
        const got = await contentHasher(tree).checksum(result.selector, signal);
        const text = got.ok ? got.value : `error: ${got.error}`;
        const error = form === 'rootfs' ? result.rootfsError : result.contextError;
        const want = error === undefined ? result[form] : `error: ${error}`;
        if (text !== want)
          problems.push(`${name} ${JSON.stringify(result.selector)}: got ${text}, want ${want}`);
      }
    }
    note(`contenthash ${form}: ${count - problems.length} of ${count} equal`);
    assert.deepEqual(problems, []);
  });
}
