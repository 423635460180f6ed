import assert from 'node:assert/strict';
import { test } from 'node:test';
import { awaitAll, Inflight, Semaphore } from '../../../src/base/index.ts';

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

test('the last waiter that is cancelled goes on when the work has cleaned up, and who comes meanwhile starts anew', async () => {
  const inflight = new Inflight<string, string>();
  const said: string[] = [];
  const cleaned = Promise.withResolvers<undefined>();
  const work = async (signal: AbortSignal): Promise<string> => {
    const aborted = Promise.withResolvers<undefined>();
    signal.addEventListener('abort', () => aborted.resolve(undefined));
    await aborted.promise;
    await cleaned.promise;
    said.push('cleaned up');
    throw signal.reason;
  };
  const stop = new AbortController();
  const ended = inflight.do('k', stop.signal, work).catch(() => said.push('told'));
  stop.abort(new Error('left'));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(
    await inflight.do('k', new AbortController().signal, () => Promise.resolve('another')),
    'another',
  );
  cleaned.resolve(undefined);
  await ended;
  assert.deepEqual(said, ['cleaned up', 'told']);
});

test('the first failure of several is told when all have ended', async () => {
  const said: string[] = [];
  const late = Promise.withResolvers<undefined>();
  const work = [
    late.promise.then(() => void said.push('cleaned up')),
    Promise.reject(new Error('the first')),
    Promise.reject(new Error('the second')),
  ];
  const ended = awaitAll(work).catch((e: unknown) => said.push(String(e)));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(said, []);
  late.resolve(undefined);
  await ended;
  assert.deepEqual(said, ['cleaned up', 'Error: the first']);
  assert.deepEqual(await awaitAll([1, Promise.resolve(2)]), [1, 2]);
});
