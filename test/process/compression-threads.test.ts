import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sample } from 'node:timers/promises';
import { readJson } from '../rig/cache-graph.ts';
import { note } from '../rig/golden.ts';
import { Rig } from '../rig/rig.ts';

/** Ticks of the processor that each thread of a process has used so far, by thread. */
function ticksOf(pid: number): ReadonlyMap<string, number> {
  const used = new Map<string, number>();
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      // proc_pid_stat(5): the name may hold blanks; user time is the 12th field behind it.
      const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (stat.includes('(libuv-worker)')) used.set(thread, Number(fields[11]));
    }
  } catch {
    // The process, or one of its threads, is gone.
  }
  return used;
}

test('a cache is exported as zstd unless told otherwise, and all threads of the pool compress it', async () => {
  await using rig = new Rig();
  rig.context('app', { Dockerfile: 'FROM scratch\nCOPY large /large\n' });
  rmSync(join(rig.work, 'app/busybox'));
  // Texts of many kinds, so that compression takes its time.
  const words = Array.from({ length: 4096 }, () => randomBytes(6).toString('base64'));
  const text = Array.from(randomBytes(2_000_000), (byte, i) => words[(byte * 16 + i) % 4096]);
  rig.write('app/large', Buffer.from(text.join(' ')).subarray(0, 16_000_000).toString().repeat(3));
  const to = 'type=local,dest=cache,mode=max,compression-level=7';
  const { child, done } = rig.start(['build', '--cache-to', to, '-o', 'type=cacheonly', 'app'], {
    env: { UV_THREADPOOL_SIZE: '4' },
  });
  const most = new Map<string, number>();
  const state = { ended: false };
  const ended = done.finally(() => (state.ended = true));
  while (!state.ended) {
    for (const [thread, ticks] of ticksOf(child.pid ?? 0)) most.set(thread, ticks);
    // What is read is a sum: how often it is read decides nothing but how much of its end is missed.
    await sample(20);
  }
  const { status, stderr } = await ended;
  assert.equal(status, 0, stderr);
  const busy = [...most.values()].sort((a, b) => b - a);
  note(`zstd of 48 MB: processor ticks of the threads of the pool ${busy.join(', ')}`);
  assert.equal(busy.length, 4);
  // Six frames of 8 MiB on four threads: each has at least one.
  assert.ok((busy.at(-1) ?? 0) * 4 > (busy[0] ?? 0), busy.join());
  const blobs = join(rig.work, 'cache/blobs/sha256');
  const index = readJson<{ readonly manifests: readonly { readonly digest: string }[] }>(
    join(rig.work, 'cache/index.json'),
  );
  const manifest = readJson<{ readonly layers: readonly { readonly mediaType: string }[] }>(
    join(blobs, index.manifests[0]?.digest.slice('sha256:'.length) ?? ''),
  );
  assert.equal(manifest.layers[0]?.mediaType, 'application/vnd.oci.image.layer.v1.tar+zstd');
});
