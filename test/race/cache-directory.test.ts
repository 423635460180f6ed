import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { sha256 } from '../../src/base/index.ts';
import { createContentStore } from '../../src/content/index.ts';
import {
  createSharedDirectory,
  DIRECTORY_RULES,
  readCache,
  sweepDirectory,
} from '../../src/remotes/index.ts';

const { signal } = new AbortController();
const HOUR = 3_600_000;

class Share implements Disposable {
  readonly root = mkdtempSync(join(tmpdir(), 'varve-share-'));
  readonly dir = join(this.root, 'share');
  #stores = 0;

  /** Starts a host that exports; resolves with how it ended. `onRound` is told of each export. */
  export(
    scope: string,
    name: string,
    rounds: number,
    onRound?: (kill: () => void) => void,
  ): Promise<string> {
    const script = join(import.meta.dirname, 'cache-directory-child.ts');
    const store = join(this.root, `store-${this.#stores++}`);
    const child = spawn(process.execPath, [script, this.dir, store, scope, name, String(rounds)]);
    let said = '';
    child.stdout.on('data', () => onRound?.(() => child.kill('SIGKILL')));
    child.stderr.on('data', (text: Buffer) => (said += text.toString()));
    return new Promise((resolve) => {
      child.on('close', (code, by) => resolve(`${code ?? by ?? ''}${said}`));
    });
  }

  /** Steps that a scope has a result of; fails when a layer of one is not there whole. */
  async steps(scope: string): Promise<readonly string[]> {
    const stores = {
      content: createContentStore(join(this.root, 'reader')),
      layout: createContentStore(this.dir),
    };
    const remote = createSharedDirectory(
      { ...stores, rules: DIRECTORY_RULES },
      { dir: this.dir, scope },
    );
    const parts: string[] = [];
    const read = await readCache(remote, { signal, onPart: (why) => parts.push(why.message) });
    assert.deepEqual(parts, []);
    if (!read.ok) return [read.error.message];
    return read.value
      .flatMap(({ records }) => records)
      .flatMap(({ digest, results }) => {
        for (const { blob } of results.flatMap(({ layers }) => layers))
          assert.equal(sha256(readFileSync(this.blob(blob))), blob);
        return results.length === 0 ? [] : [digest];
      })
      .sort();
  }

  blob(digest: string): string {
    return join(this.dir, 'blobs/sha256', digest.slice('sha256:'.length));
  }

  /** Every file but the marks of sweeps. */
  files(): string[] {
    return readdirSync(this.dir, { recursive: true, encoding: 'utf8' }).filter(
      (path) => statSync(join(this.dir, path)).isFile() && path !== 'swept',
    );
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

const expected = (names: readonly string[], rounds: number): string[] =>
  names.flatMap((name) => Array.from({ length: rounds }, (_, i) => sha256(`${name} ${i}`))).sort();

test('eight hosts that export to two scopes at once lose nothing of each other', async () => {
  using share = new Share();
  const names = Array.from({ length: 8 }, (_, i) => `host ${i}`);
  const scopeOf = (i: number): string => (i % 2 === 0 ? 'main' : 'feature/x');
  const ends = await Promise.all(names.map((name, i) => share.export(scopeOf(i), name, 3)));
  assert.deepEqual(
    ends,
    names.map(() => '0'),
  );
  for (const odd of [0, 1])
    assert.deepEqual(
      await share.steps(scopeOf(odd)),
      expected(
        names.filter((_, i) => i % 2 === odd),
        3,
      ),
    );
  assert.deepEqual(
    share.files().filter((path) => path.includes('.tmp-')),
    [],
  );
});

test('hosts that die anywhere in an export leave what the others wrote readable, and a sweep removes the rest', async () => {
  using share = new Share();
  await share.export('main', 'steady', 1);
  // Each is killed right after another round began, where chance has it.
  const ends = await Promise.all(
    Array.from({ length: 4 }, (_, i) => {
      let left = i + 1;
      return share.export('main', `dying ${i}`, 1000, (kill) => {
        if (--left === 0) kill();
      });
    }),
  );
  assert.deepEqual(new Set(ends), new Set(['SIGKILL']));
  const steps = await share.steps('main');
  assert.ok(steps.includes(sha256('steady 0')));
  assert.equal(await share.export('main', 'next', 1), '0');
  assert.deepEqual((await share.steps('main')).length, steps.length + 1);
  writeFileSync(join(share.dir, 'blobs/sha256/.tmp-torn-1'), 'half');
  const before = share.files();
  const now = Date.now();
  const young = await sweepDirectory(share.dir, DIRECTORY_RULES, { now, signal });
  assert.deepEqual(young, { exports: 0, blobs: 0, unfinished: 0 });
  assert.deepEqual(share.files(), before);
  const later = await sweepDirectory(share.dir, DIRECTORY_RULES, { now: now + 25 * HOUR, signal });
  assert.ok(later.unfinished >= 1);
  assert.deepEqual(
    share.files().filter((path) => path.includes('.tmp-')),
    [],
  );
  assert.equal((await share.steps('main')).length, steps.length + 1);
});

test('exports beyond the rules go with the blobs that only they name', async () => {
  using share = new Share();
  await share.export('main', 'a', 3);
  await share.export('other', 'b', 1);
  const rules = { ...DIRECTORY_RULES, keepExports: 2 };
  const now = Date.now() + 25 * HOUR;
  const swept = await sweepDirectory(share.dir, rules, { now, signal });
  // A manifest, a config and the layer of its own; the layer that all share stays.
  assert.deepEqual(swept, { exports: 1, blobs: 3, unfinished: 0 });
  assert.equal((await share.steps('main')).length, 2);
  assert.equal((await share.steps('other')).length, 1);
  const all = await sweepDirectory(share.dir, rules, { now: now + 31 * 24 * HOUR, signal });
  assert.equal(all.exports, 3);
  assert.deepEqual(share.files().sort(), ['index.json', 'oci-layout']);
});

test('exports with damaged bytes go with the next sweep, others stay', async () => {
  using share = new Share();
  await share.export('main', 'a', 3);
  const folder = join(share.dir, 'scopes/main');
  const flip = (path: string): void => {
    const bytes = readFileSync(path);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    writeFileSync(path, bytes);
  };
  const [entry = '', other = ''] = readdirSync(folder);
  const config = /"config": \{[^}]*"digest": "(sha256:\w+)"/s;
  const named = config.exec(readFileSync(join(folder, other), 'utf8'))?.[1] ?? '';
  flip(join(folder, entry));
  flip(share.blob(named));
  const swept = await sweepDirectory(share.dir, DIRECTORY_RULES, { now: Date.now(), signal });
  assert.deepEqual(swept, { exports: 2, blobs: 0, unfinished: 0 });
  assert.equal((await share.steps('main')).length, 1);
});

test('a blob that a sweep set aside comes back for the export that names it by then', async () => {
  using share = new Share();
  await share.export('main', 'a', 1);
  // As a sweep leaves it that died, or that reads the exports again, after an export named what it had found unused.
  mkdirSync(join(share.dir, 'aside'));
  const names = readdirSync(join(share.dir, 'blobs/sha256'));
  for (const name of names)
    renameSync(join(share.dir, 'blobs/sha256', name), join(share.dir, 'aside', name));
  const swept = await sweepDirectory(share.dir, DIRECTORY_RULES, { now: Date.now(), signal });
  assert.deepEqual(swept, { exports: 0, blobs: 0, unfinished: 0 });
  assert.deepEqual(await share.steps('main'), expected(['a'], 1));
});

test('a directory that may only be read serves imports', async () => {
  using share = new Share();
  await share.export('main', 'a', 1);
  const before = share.files();
  for (const path of ['', 'scopes', 'scopes/main', 'blobs', 'blobs/sha256'])
    chmodSync(join(share.dir, path), 0o555);
  assert.deepEqual(await share.steps('main'), expected(['a'], 1));
  assert.deepEqual(share.files(), before);
});
