import { deepEqual } from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ok, sha256 } from '../../../src/base/index.ts';
import { buildRoot } from '../../../src/ops/template-root.ts';
import type { OpContext, Packages, SandboxSpec } from '../../../src/ports/index.ts';
import type { LockedPackage, TemplateLock } from '../../../src/template/index.ts';

const NAME = '[internal] root of os.yml';

test('the runs of dpkg have the limits of their step and of the build, and share the time of the step', async () => {
  const root = mkdtempSync(join(tmpdir(), 'varve-limits-'));
  try {
    let now = 1000;
    const specs: Pick<SandboxSpec, 'limits' | 'group'>[] = [];
    // Only what the root reads of a lock and of its packages.
    const lock = { architecture: 'amd64' } as TemplateLock;
    const locked = (name: string, step: number): LockedPackage => ({ name, step }) as LockedPackage;
    const packages = { extract: () => Promise.resolve(ok(undefined)) } as unknown as Packages;
    const context: OpContext = {
      signal: new AbortController().signal,
      emit: () => undefined,
      vertex: {
        digest: sha256('x'),
        op: { inputs: [], body: { kind: 'terminal' } },
        pb: new Uint8Array(),
        metadata: {
          ...{ ignoreCache: false, caps: [], spans: [] },
          description: { 'llb.customname': NAME },
        },
      },
    };
    const group = { id: 'b', limits: { memoryBytes: 2 ** 30 } };
    const made = await buildRoot(
      {
        ...{ root, lock, packageDir: root, epoch: 1, fromNothing: true },
        packages: [
          { locked: locked('base-files', 0), file: 'base-files.deb' },
          { locked: locked('app', 1), file: 'app.deb' },
        ],
      },
      {
        packages,
        clock: { now: () => now },
        id: 'x',
        group,
        limitsOf: (name) =>
          name === NAME ? { memoryBytes: 2 ** 20, pids: 7, timeoutMs: 1000 } : {},
        sandbox: {
          run: ({ limits = {}, group: used }) => {
            specs.push({ limits, ...(used === undefined ? {} : { group: used }) });
            now += 400;
            const late = specs.length === 2;
            return Promise.resolve(ok({ code: late ? 137 : 0, timedOut: late, outOfMemory: late }));
          },
        },
      },
      context,
    );
    deepEqual(specs, [
      { limits: { memoryBytes: 2 ** 20, pids: 7, timeoutMs: 1000 }, group },
      { limits: { memoryBytes: 2 ** 20, pids: 7, timeoutMs: 600 }, group },
    ]);
    deepEqual(made.ok ? undefined : [made.error.message, made.error.help], [
      'dpkg cannot install the packages (time limit of 1 s exceeded)',
      "a process was ended because the memory limit of 1048576 bytes or the build's memory limit of 1073741824 bytes was reached",
    ]);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
