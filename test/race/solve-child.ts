/**
 * A build process for the race tests: `solve-child.ts <store> <steps> [hang]`. Solves base → shared 1..n → join and writes
 * a line to `executed.log` for every step it executes; with `hang` the first shared step says so and never ends.
 */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ok, sha256 } from '../../src/base/index.ts';
import { openStateDb } from '../../src/cachedb/index.ts';
import type { Definition, Vertex } from '../../src/llb/index.ts';
import type { LayerId, OpDriver } from '../../src/ports/index.ts';
import { createSolver } from '../../src/solve/index.ts';

const [store = '', count = '1', mode = ''] = process.argv.slice(2);
const clock = { now: (): number => Date.now() };
const opened = openStateDb({ path: join(store, 'state.db'), clock });
if (!opened.ok) throw new Error(opened.error.message);
using db = opened.value;

function vertexOf(name: string, inputs: readonly Vertex[]): Vertex {
  const ends = inputs.map(({ digest }) => ({ digest, index: 0 }));
  return {
    digest: sha256(name),
    op: { inputs: ends, body: { kind: 'merge', merge: { inputs: [] } } },
    pb: Buffer.from(name),
    metadata: { description: { 'llb.customname': name }, ignoreCache: false, caps: [], spans: [] },
  };
}

function definition(): Definition {
  const base = vertexOf('base', []);
  const shared = Array.from({ length: Number(count) }, (_, i) => vertexOf(`shared ${i}`, [base]));
  const last = vertexOf('join', shared);
  const all = [base, ...shared, last];
  return {
    vertices: new Map(all.map((vertex) => [vertex.digest, vertex])),
    result: { digest: last.digest, index: 0 },
  };
}

function driver(vertex: Vertex): OpDriver {
  const name = vertex.metadata.description['llb.customname'] ?? '';
  return {
    cacheMap: () =>
      Promise.resolve(
        ok({
          digest: sha256(`op ${name}`),
          deps: vertex.op.inputs.map(() => ({ hasContentKey: false })),
        }),
      ),
    contentKey: () => Promise.reject(new Error('no step here has content keys')),
    run: async (context) => {
      appendFileSync(join(store, 'executed.log'), `${name}\n`);
      if (mode === 'hang' && name.startsWith('shared')) {
        process.stdout.write('running\n');
        await new Promise((_, reject) => {
          context.signal.addEventListener('abort', () => reject(context.signal.reason as Error));
          setInterval(() => undefined, 1000);
        });
      }
      // Long enough that the other processes meet the lock; nothing is asserted about the time.
      await delay(30);
      return ok([[{ id: `layer ${name}` as LayerId, createdAt: 1 }]]);
    },
  };
}

const solver = createSolver({
  ...{ cache: db.cache, traces: db.traces, locks: db.locks, leases: db.leases, clock },
  resolver: driver,
  available: () => Promise.resolve(true),
  maxParallel: 2,
});
const solved = await solver.solve(definition(), {
  signal: new AbortController().signal,
  emit: () => undefined,
});
if (!solved.ok) throw new Error(solved.error.message);
process.stdout.write(`${solved.value.chain.map((layer) => layer.id).join(',')}\n`);
