import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { type FaultyProxy, startFaultyProxy, startRegistry } from '../rig/registry.ts';
import { BUSYBOX, needsSteps, Rig } from '../rig/rig.ts';

const MIB = 1024 * 1024;
const SHARED = 'COPY large /large\n';

/** What was asked of a registry: how often each method, and what was sent. */
function traffic(proxy: FaultyProxy): {
  readonly counts: Readonly<Record<string, number>>;
  readonly sent: number;
} {
  const counts: Record<string, number> = {};
  for (const { method, path } of proxy.seen) {
    const what = path.includes('mount=') ? 'mount' : path.includes('/manifests/') ? 'manifest' : '';
    const key = `${method} ${what}`.trim();
    counts[key] = (counts[key] ?? 0) + 1;
  }
  const sent = proxy.seen.reduce((sum, request) => sum + request.sent, 0);
  proxy.seen.length = 0;
  return { counts, sent };
}

test('an export sends what the registry lacks and asks once for every other blob; a reset costs one request', {
  skip: needsSteps,
}, async () => {
  await using rig = new Rig();
  rig.context('app', { Dockerfile: `${BUSYBOX}${SHARED}COPY code /code\n`, code: 'one\n' });
  rig.write('app/large', randomBytes(8 * MIB));
  await using registry = await startRegistry();
  let resets = 0;
  await using proxy = await startFaultyProxy(registry.url, ({ method, path }) =>
    method === 'PUT' && path.includes('/other/') && resets++ === 0 ? { kind: 'reset' } : undefined,
  );
  const build = async (...args: readonly string[]): Promise<void> => {
    const run = await rig.varve(['build', '--progress=plain', ...args, 'app']);
    assert.equal(run.status, 0, run.stderr);
  };
  const to = (name: string): string => `type=registry,ref=${proxy.host}/${name},mode=max`;
  await build('--cache-to', to('team/cache'));
  const first = traffic(proxy);
  // Four layers, the index of them, what their steps were made of, the config.
  assert.deepEqual(first.counts, { HEAD: 7, POST: 7, PUT: 7, 'PUT manifest': 1 });
  assert.ok(first.sent > 8 * MIB);

  await build('--cache-to', to('team/cache'));
  assert.deepEqual(traffic(proxy).counts, { HEAD: 7, 'PUT manifest': 1 });

  rig.write('app/code', 'two\n');
  await build('--cache-to', to('team/cache'));
  const changed = traffic(proxy);
  // The new layer, the index, what its steps were made of, and the config.
  assert.deepEqual(changed.counts, { HEAD: 7, POST: 4, PUT: 4, 'PUT manifest': 1 });
  assert.ok(changed.sent < 16_384, `${changed.sent} bytes`);

  // Another repository of the same registry mounts all of it; the reset hits the manifest, which is sent again.
  await build('--cache-to', to('other/cache'));
  assert.deepEqual(traffic(proxy).counts, { HEAD: 7, 'POST mount': 7, 'PUT manifest': 2 });
});
