import assert from 'node:assert/strict';
import { createServer as createHttp } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { test } from 'node:test';
import { ok, type Result } from '../../../src/base/index.ts';
import { HttpClient, type RetryPolicy, withRetries } from '../../../src/http/index.ts';

/** More patience than any caller has. */
const RETRY: RetryPolicy = { tries: 50, firstPauseMs: 500, maxPauseMs: 60_000 };

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // A server that listens on a port has one.
  return (server.address() as AddressInfo).port;
}

async function get(client: HttpClient, url: string): Promise<Result<number>> {
  const base = new URL(url);
  const { signal } = new AbortController();
  return await withRetries(RETRY, signal, async () => {
    const answer = await client.send({ method: 'GET', url: base, signal }, { base, config: {} });
    answer.drop();
    return ok(answer.status);
  });
}

/** The failure of a request, and how long it took. */
async function failed(client: HttpClient, url: string): Promise<readonly [string, number]> {
  const began = performance.now();
  const done = await get(client, url);
  assert.ok(!done.ok);
  return [done.error.code, performance.now() - began];
}

test('a closed port and one that never shakes hands are given up within 15 seconds, and then at once', async () => {
  await using client = new HttpClient({ stallMs: 30_000 });
  const closed = createServer();
  const port = await listen(closed);
  await new Promise((resolve) => closed.close(resolve));
  const sockets: Socket[] = [];
  // Takes connections, and says nothing: to a TLS client a black hole.
  const mute = createServer((socket) => sockets.push(socket));
  const hole = await listen(mute);
  try {
    const places = [`http://127.0.0.1:${port}/`, `https://127.0.0.1:${hole}/`];
    const first = await Promise.all(places.map((url) => failed(client, url)));
    const again = await failed(client, places[0] ?? '');
    assert.deepEqual(
      [...first, again].map(([code]) => code),
      ['RG001', 'RG001', 'RG001'],
    );
    for (const [, ms] of first) assert.ok(ms < 15_000, `${ms} ms`);
    assert.ok(again[1] < 1000, `${again[1]} ms`);
  } finally {
    for (const socket of sockets) socket.destroy();
    mute.close();
  }
});

test('an address that comes back within the time is used', async () => {
  await using client = new HttpClient({ stallMs: 30_000 });
  const closed = createServer();
  const port = await listen(closed);
  await new Promise((resolve) => closed.close(resolve));
  const answer = get(client, `http://127.0.0.1:${port}/`);
  const server = createHttp((_request, response) => response.end());
  const failing = await failedOnce(client, port);
  server.listen(port, '127.0.0.1');
  try {
    assert.deepEqual([failing, await answer], [true, ok(200)]);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

/** Whether a single attempt fails, so that the waiting one has failed before it too. */
async function failedOnce(client: HttpClient, port: number): Promise<boolean> {
  const base = new URL(`http://127.0.0.1:${port}/`);
  const { signal } = new AbortController();
  try {
    await client.send({ method: 'GET', url: base, signal }, { base, config: {} });
    return false;
  } catch {
    return true;
  }
}
