import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { sha256 } from '../../../src/base/index.ts';
import { createContentStore, holdingStore } from '../../../src/content/index.ts';
import type { ContentStore } from '../../../src/ports/index.ts';

/** A store, and what was leased: one list for each time something was. */
function world(): {
  store: ContentStore;
  held: (readonly string[])[];
  plain: ContentStore;
} & Disposable {
  const root = mkdtempSync(join(tmpdir(), 'varve-holding-'));
  const plain = createContentStore(root);
  const held: (readonly string[])[] = [];
  const store = holdingStore(plain, { add: (...resources) => void held.push(resources) });
  const end = (): void => rmSync(root, { recursive: true });
  return { store, held, plain, [Symbol.dispose]: end };
}

const nameOf = (text: string): string => `blob:${sha256(text)}`;

describe('a store that holds', () => {
  test('a blob is leased before it is looked up or read, also one that is not there', async () => {
    using w = world();
    const there = await w.plain.put(Buffer.from('there'));
    const absent = sha256('absent');
    const seen: string[] = [];
    const watched = {
      ...{ root: w.plain.root, path: w.plain.path.bind(w.plain), list: w.plain.list.bind(w.plain) },
      size: async (digest: typeof there) => {
        seen.push(`looked up with ${w.held.flat().length} leased`);
        return await w.plain.size(digest);
      },
    };
    const store = holdingStore({ ...w.store, ...watched }, { add: (...r) => void w.held.push(r) });
    assert.equal(await store.size(there), 5);
    assert.equal(await store.size(absent), undefined);
    assert.equal(await store.size(there), 5);
    assert.deepEqual(w.held, [[nameOf('there')], [nameOf('absent')]]);
    assert.deepEqual(
      seen,
      [1, 2, 2].map((n) => `looked up with ${n} leased`),
    );
    const read = await w.store.read(there, { maxBytes: 100 });
    assert.equal(read.ok && Buffer.from(read.value).toString(), 'there');
    assert.deepEqual(w.held.at(-1), [nameOf('there')]);
  });

  test('look-ups at the same time are leased together', async () => {
    using w = world();
    const texts = ['a', 'b', 'c', 'a'];
    await Promise.all(texts.map((text) => w.store.size(sha256(text))));
    assert.deepEqual(w.held, [[nameOf('a'), nameOf('b'), nameOf('c')]]);
  });

  test('a look-up fails when it cannot be held, and the next one asks again', async () => {
    using w = world();
    let full = true;
    const store = holdingStore(w.plain, {
      add: () => {
        if (full) throw new Error('full');
      },
    });
    await assert.rejects(store.size(sha256('a')), { message: 'full' });
    full = false;
    assert.equal(await store.size(sha256('a')), undefined);
  });

  test('what is written is leased under the digest that it has', async () => {
    using w = world();
    const { signal } = new AbortController();
    const data = (async function* () {
      yield await Promise.resolve(Buffer.from('new'));
    })();
    await w.store.ingest(data, { signal });
    await w.store.put(Buffer.from('small'));
    assert.deepEqual(w.held, [[nameOf('new')], [nameOf('small')]]);
  });
});
