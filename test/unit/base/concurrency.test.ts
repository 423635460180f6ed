import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Inflight, Semaphore } from '../../../src/base/index.ts';

test('a semaphore hands its slot to the oldest waiter and never lets a newcomer overtake', async () => {
  const semaphore = new Semaphore(1);
  const order: string[] = [];
  const first = await semaphore.acquire();
  const waiters = ['a', 'b'].map(async (name) => {
    using _slot = await semaphore.acquire();
    order.push(name);
  });
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  await Promise.all([
    ...waiters,
    semaphore.run(undefined, async () => Promise.resolve(order.push('late'))),
  ]);
  assert.deepEqual(order, ['a', 'b', 'late']);
});

test('cancelling one of two waiters keeps the shared work running, cancelling the last one stops it', async () => {
  const inflight = new Inflight<string, number>();
  const [one, two] = [new AbortController(), new AbortController()];
  let runs = 0;
  let shared: AbortSignal | undefined;
  const work = async (signal: AbortSignal): Promise<number> => {
    runs++;
    shared = signal;
    return await new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error));
    });
  };
  const waits = [inflight.do('k', one.signal, work), inflight.do('k', two.signal, work)];
  one.abort(new Error('first left'));
  await assert.rejects(waits[0] ?? assert.fail(), /first left/);
  assert.deepEqual([runs, shared?.aborted], [1, false]);
  two.abort(new Error('second left'));
  await assert.rejects(waits[1] ?? assert.fail(), /second left/);
  assert.equal(shared?.aborted, true);
});
