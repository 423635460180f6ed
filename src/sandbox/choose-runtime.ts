import { randomBytes } from 'node:crypto';
import { renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { linesOf, type Result } from '../base/index.ts';
import type { SandboxExit, SandboxSpec } from '../ports/index.ts';
import { RUNTIME_ENV } from './run-runtime.ts';

/** What runs steps where nothing else is named: it is found on most machines, and every machine takes it. */
export const USUAL = 'runc';
/** Takes a third of the time to start a container. */
const QUICK = 'crun';
/** What the trial starts. It is nowhere: that the runtime says so shows that it had set up the container. */
const NOWHERE = '/varve-trial';

const TRIAL_MS = 10_000;

/** What a choice depends on. */
export interface Choosing {
  /** Directory of this machine, where the outcome is remembered. */
  readonly stateDir: string;
  /** Version of the control groups that a runtime uses (`CgroupMounts.version`). */
  readonly cgroups: 1 | 2;
  readonly boot: string;
  /** Runs a container with a runtime. */
  readonly run: (program: string, spec: SandboxSpec) => Promise<Result<SandboxExit>>;
}

/**
 * The runtime where none is named: crun where it is installed and a trial shows that it runs containers here, else runc. Some
 * versions of crun refuse every container on machines whose control groups or limits they do not expect, so that its presence
 * says little. The trial is made once for a program, a directory and a boot.
 */
export async function chooseRuntime(choosing: Choosing): Promise<string> {
  const { stateDir, cgroups, boot, run } = choosing;
  // With version 1 beside it crun refuses every container (1.8 and 1.21).
  const found = cgroups === 2 ? find(QUICK) : undefined;
  if (found === undefined) return USUAL;
  const note = join(stateDir, 'runtime-trial');
  const asked = `${found.path} ${found.stamp} ${boot}`;
  const [before, outcome] = linesOf(note);
  if (before === asked) return outcome === 'runs' ? QUICK : USUAL;
  const tried = await run(QUICK, trialSpec(stateDir));
  const runs = !tried.ok && tried.error.message.includes(`exec: "${NOWHERE}"`);
  // Several commands may try it at once: each says the same.
  const own = `${note}.${randomBytes(6).toString('hex')}`;
  writeFileSync(own, `${asked}\n${runs ? 'runs' : 'refuses'}\n`);
  renameSync(own, note);
  return runs ? QUICK : USUAL;
}

/** Its root is its own bundle, which goes with the run: it needs no files. */
function trialSpec(stateDir: string): SandboxSpec {
  const id = `trial-${randomBytes(6).toString('hex')}`;
  return {
    ...{ id, rootfs: join(stateDir, id), args: [NOWHERE], env: [], cwd: '/', hostname: 'trial' },
    user: { uid: 0, gid: 0, additionalGids: [] },
    ...{ network: 'none', security: 'sandbox', mounts: [], extraHosts: [], ulimits: [] },
    limits: { timeoutMs: TRIAL_MS },
    removeMountStubs: true,
  };
}

/** Where a runtime is, and what changes when it is another one. */
function find(name: string): { readonly path: string; readonly stamp: string } | undefined {
  for (const dir of RUNTIME_ENV.PATH.split(':')) {
    const path = join(dir, name);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat?.isFile() === true) return { path, stamp: `${stat.ino} ${stat.size} ${stat.mtimeMs}` };
  }
  return undefined;
}
