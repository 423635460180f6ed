import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { sha256 } from '../../../src/base/index.ts';
import { createCacheMounts } from '../../../src/ops/index.ts';

/** Cache mounts in a temporary directory. */
class Caches implements Disposable {
  readonly root = mkdtempSync(join(tmpdir(), 'varve-caches-'));
  readonly caches = createCacheMounts({ root: this.root });
  fills = 0;

  async acquire(
    sharing: 'shared' | 'private' | 'locked',
    more: { id?: string; base?: string; fresh?: boolean; signal?: AbortSignal } = {},
  ) {
    return await this.caches.acquire({
      id: more.id ?? 'a',
      base: more.base ?? '',
      sharing,
      fresh: more.fresh ?? false,
      signal: more.signal ?? new AbortController().signal,
      fill: (dir) => {
        this.fills++;
        writeFileSync(join(dir, 'initial'), '');
        return Promise.resolve();
      },
    });
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true });
  }
}

test('shared users see one directory, which is filled once', async () => {
  using caches = new Caches();
  using one = await caches.acquire('shared');
  using two = await caches.acquire('shared');
  assert.deepEqual(
    [one.path === two.path, caches.fills, readdirSync(one.path)],
    [true, 1, ['initial']],
  );
});

test('two private users have two directories, which later users take again', async () => {
  using caches = new Caches();
  const one = await caches.acquire('private');
  const two = await caches.acquire('private');
  assert.notEqual(one.path, two.path);
  one[Symbol.dispose]();
  two[Symbol.dispose]();
  using three = await caches.acquire('private');
  assert.deepEqual([three.path, caches.fills], [one.path, 2]);
});

test('a locked user waits for the other one, and gives up when it is cancelled', async () => {
  using caches = new Caches();
  const one = await caches.acquire('locked');
  const controller = new AbortController();
  const cancelled = caches.acquire('locked', { signal: controller.signal });
  const waiting = caches.acquire('locked');
  const reason = new Error('no longer wanted');
  controller.abort(reason);
  await assert.rejects(cancelled, reason);
  one[Symbol.dispose]();
  using two = await waiting;
  assert.deepEqual([two.path, caches.fills], [one.path, 1]);
});

test('another id or another initial content is another cache', async () => {
  using caches = new Caches();
  const paths = [
    await caches.acquire('shared'),
    await caches.acquire('shared', { id: 'b' }),
    await caches.acquire('shared', { base: 'layer' }),
  ].map((held) => {
    held[Symbol.dispose]();
    return held.path;
  });
  assert.equal(new Set(paths).size, 3);
  assert.deepEqual(
    caches.caches
      .list()
      .map(({ id, base }) => `${id}:${base}`)
      .sort(),
    ['a:', 'a:layer', 'b:'],
  );
});

test('a fresh start discards what is unused and leaves what is in use alone', async () => {
  using caches = new Caches();
  const one = await caches.acquire('shared');
  writeFileSync(join(one.path, 'made'), '');
  const two = await caches.acquire('shared', { fresh: true });
  assert.notEqual(one.path, two.path);
  assert.deepEqual(
    [readdirSync(one.path), readdirSync(two.path)],
    [['initial', 'made'], ['initial']],
  );
  one[Symbol.dispose]();
  two[Symbol.dispose]();
  using three = await caches.acquire('shared', { fresh: true });
  assert.deepEqual(readdirSync(three.path), ['initial']);
  assert.equal(caches.caches.list().length, 1);
});

test('a directory in use is not removed, an unused one is', async () => {
  using caches = new Caches();
  const held = await caches.acquire('shared');
  assert.equal(caches.caches.remove(held.path), false);
  held[Symbol.dispose]();
  assert.equal(caches.caches.remove(held.path), true);
  assert.deepEqual(caches.caches.list(), []);
});

test('what is noted of a directory that was just removed is lost with it, and no failure', async () => {
  using caches = new Caches();
  const held = await caches.acquire('shared');
  const sync = { index: sha256('index'), usedAt: 1, damaged: false };
  caches.caches.noteSync(held.path, 'there', sync);
  assert.deepEqual(caches.caches.sync(held.path, 'there'), sync);
  held[Symbol.dispose]();
  assert.equal(caches.caches.remove(held.path), true);
  caches.caches.noteSync(held.path, 'there', sync);
  assert.equal(caches.caches.sync(held.path, 'there'), undefined);
});

test('a directory whose filling failed is filled again', async () => {
  using caches = new Caches();
  const request = {
    id: 'a',
    base: '',
    sharing: 'shared',
    fresh: false,
    signal: new AbortController().signal,
  } as const;
  const broken = new Error('disk full');
  const failing = caches.caches.acquire({ ...request, fill: () => Promise.reject(broken) });
  await assert.rejects(failing, broken);
  using held = await caches.acquire('shared');
  assert.deepEqual([readdirSync(held.path), caches.caches.list().length], [['initial'], 1]);
});

test('a frozen directory is waited for by who shares it; one that a step has for itself cannot be frozen', async () => {
  using caches = new Caches();
  const { signal } = new AbortController();
  const mine = await caches.acquire('private');
  const freeze = () => caches.caches.freeze(mine.path, { signal, patienceMs: 0 });
  assert.equal(await freeze(), undefined);
  mine[Symbol.dispose]();
  const user = await caches.acquire('shared');
  const beside = await freeze();
  assert.ok(beside !== 'gone');
  assert.equal(beside?.path, mine.path);
  beside[Symbol.dispose]();
  user[Symbol.dispose]();
  const alone = await freeze();
  assert.ok(alone !== 'gone');
  const waiting = caches.acquire('shared');
  alone?.[Symbol.dispose]();
  using after = await waiting;
  assert.deepEqual([after.path, caches.fills], [mine.path, 1]);
});

test('a directory that was removed cannot be frozen, which is said at once and is not called a use', async () => {
  using caches = new Caches();
  const { signal } = new AbortController();
  const held = await caches.acquire('private');
  held[Symbol.dispose]();
  assert.equal(caches.caches.remove(held.path), true);
  const patienceMs = Number.MAX_SAFE_INTEGER;
  assert.equal(await caches.caches.freeze(held.path, { signal, patienceMs }), 'gone');
});
