import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '../../src/base/index.ts';
import type { Blob, ContentStore } from '../../src/ports/index.ts';

const { signal } = new AbortController();
const HELLO = Buffer.from('hello, blob');
const DIGEST = sha256(HELLO);

async function* pieces(...parts: readonly (string | Error)[]): AsyncIterable<Uint8Array> {
  for (const part of parts) {
    if (part instanceof Error) throw part;
    yield await Promise.resolve(Buffer.from(part));
  }
}

async function all(store: ContentStore): Promise<Blob[]> {
  const found: Blob[] = [];
  for await (const blob of store.list()) found.push(blob);
  return found.sort((a, b) => (a.digest < b.digest ? -1 : 1));
}

/** What every implementation of the ContentStore port does. `make` gives an empty store that the test disposes. */
export function runContentStoreTests(
  name: string,
  make: () => AsyncDisposable & { readonly store: ContentStore },
): void {
  const check = (title: string, body: (store: ContentStore) => Promise<void>): void => {
    test(`${name}: ${title}`, async () => {
      await using world = make();
      await body(world.store);
    });
  };

  check('a blob that was ingested is read, streamed from any offset and listed', async (store) => {
    assert.deepEqual(await store.ingest(pieces('hello', ', blob'), { signal }), {
      ok: true,
      value: { digest: DIGEST, size: 11 },
    });
    assert.deepEqual(await store.read(DIGEST, { maxBytes: 100 }), { ok: true, value: HELLO });
    const parts: Uint8Array[] = [];
    for await (const part of store.stream(DIGEST, { signal, start: 7 })) parts.push(part);
    assert.equal(Buffer.concat(parts).toString(), 'blob');
    assert.deepEqual(await all(store), [{ digest: DIGEST, size: 11 }]);
    assert.equal(await store.size(DIGEST), 11);
  });

  check('bytes with another digest than promised leave nothing', async (store) => {
    const other = sha256('other');
    const result = await store.ingest(pieces('hello'), { signal, digest: other, partialKey: 'k' });
    assert.equal(result.ok ? '' : result.error.code, 'ST010');
    assert.deepEqual([await all(store), await store.partial('k')], [[], 0]);
  });

  check(
    'more bytes than promised, or than allowed, are refused before they are all read',
    async (store) => {
      let read = 0;
      async function* endless(): AsyncIterable<Uint8Array> {
        for (;;) {
          read++;
          yield await Promise.resolve(Buffer.alloc(1000));
        }
      }
      const long = await store.ingest(endless(), { signal, size: 2500 });
      const capped = await store.ingest(endless(), { signal, maxBytes: 2500 });
      const codes = [long, capped].map((result) => (result.ok ? '' : result.error.code));
      assert.deepEqual([codes, read, await all(store)], [['ST011', 'ST012'], 6, []]);
    },
  );

  check('a download that broke off is resumed where it stopped', async (store) => {
    const options = { signal, digest: DIGEST, size: 11, partialKey: 'layer' };
    await assert.rejects(store.ingest(pieces('hello', new Error('reset')), options), {
      message: 'reset',
    });
    assert.equal(await store.partial('layer'), 5);
    assert.deepEqual(await store.ingest(pieces(', blob'), options), {
      ok: true,
      value: { digest: DIGEST, size: 11 },
    });
    assert.equal(await store.partial('layer'), 0);
  });

  check('a stream that ends too early is a failure and is resumed', async (store) => {
    const options = { signal, digest: DIGEST, size: 11, partialKey: 'layer' };
    const short = await store.ingest(pieces('hello'), options);
    assert.equal(short.ok ? '' : short.error.code, 'ST011');
    assert.equal(await store.partial('layer'), 5);
    assert.equal((await store.ingest(pieces(', blob'), options)).ok, true);
  });

  check(
    'a wrong beginning is found when the download is resumed, and thrown away',
    async (store) => {
      const options = { signal, digest: DIGEST, size: 11, partialKey: 'layer' };
      await assert.rejects(store.ingest(pieces('HELLO', new Error('reset')), options));
      const result = await store.ingest(pieces(', blob'), options);
      assert.equal(result.ok ? '' : result.error.code, 'ST010');
      assert.deepEqual([await store.partial('layer'), await all(store)], [0, []]);
    },
  );

  check('a blob that is there is not read again', async (store) => {
    await store.put(HELLO);
    let asked = false;
    async function* never(): AsyncIterable<Uint8Array> {
      asked = true;
      yield await Promise.resolve(HELLO);
    }
    assert.equal((await store.ingest(never(), { signal, digest: DIGEST, size: 11 })).ok, true);
    assert.equal(asked, false);
  });

  check('a blob in quarantine is absent and can be written again', async (store) => {
    await store.put(HELLO);
    await store.quarantine(DIGEST, 'a test');
    await store.quarantine(DIGEST, 'a test');
    assert.equal(await store.size(DIGEST), undefined);
    await store.put(HELLO);
    assert.equal(await store.size(DIGEST), 11);
    await store.remove(DIGEST);
    await store.remove(DIGEST);
    assert.deepEqual(await all(store), []);
  });

  check('reading an absent or oversize blob is a failure that names it', async (store) => {
    const absent = await store.read(DIGEST, { maxBytes: 10 });
    await store.put(HELLO);
    const large = await store.read(DIGEST, { maxBytes: 10 });
    const messages = [absent, large].map((result) => (result.ok ? '' : result.error.message));
    assert.deepEqual(messages, [
      `blob ${DIGEST} is not in the store`,
      `blob ${DIGEST} has 11 bytes, more than the 10 allowed here`,
    ]);
  });

  check('writers of the same blob at the same time all succeed', async (store) => {
    const options = { signal, digest: DIGEST, size: 11, partialKey: 'same' };
    const results = await Promise.all(
      Array.from({ length: 8 }, () => store.ingest(pieces('hello', ', blob'), options)),
    );
    assert.deepEqual(
      results.map((result) => result.ok),
      Array.from({ length: 8 }, () => true),
    );
    assert.deepEqual(await all(store), [{ digest: DIGEST, size: 11 }]);
  });

  check('cancelling stops an ingest with the reason given', async (store) => {
    const controller = new AbortController();
    async function* stopping(): AsyncIterable<Uint8Array> {
      yield await Promise.resolve(HELLO);
      controller.abort(new Error('enough'));
      yield HELLO;
    }
    await assert.rejects(store.ingest(stopping(), { signal: controller.signal }), {
      message: 'enough',
    });
    assert.deepEqual(await all(store), []);
  });
}
