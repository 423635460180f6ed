import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { varveHere } from './in-process.ts';
import { Rig, statesOf } from './rig.ts';

/** What a build with a cache in a bad state came to. */
export interface Outcome {
  readonly status: number | null;
  /** States of the two steps. */
  readonly steps: string;
  /** Warnings, and the first line of the error. */
  readonly said: string;
  /** What the files of its output say; absent when it has none. */
  readonly files?: string;
}

/** How often builds of a matrix ask, and how long those wait that meet silence. */
const TRIES = { VARVE_NETWORK_TRIES: '2' };
export const IMPATIENT = { VARVE_NETWORK_TIMEOUT: '2s' };

/** A world whose Dockerfile copies two files: steps that run without a sandbox. */
export function rowWorld(): Rig {
  const rig = new Rig();
  rig.context('app', {
    Dockerfile: 'FROM scratch\nCOPY a.txt /a\nCOPY b.txt /b\n',
    'a.txt': 'a\n',
    'b.txt': 'b\n',
  });
  rmSync(join(rig.work, 'app/busybox'));
  return rig;
}

/** Builds in a store of its own, which is gone afterwards; `output` asks for the files. */
export async function rowBuild(
  rig: Rig,
  args: readonly string[],
  options: {
    readonly env?: Readonly<Record<string, string>>;
    readonly output?: boolean;
    readonly context?: string;
  } = {},
): Promise<Outcome> {
  const { env = {}, output = false, context = 'app' } = options;
  const base = join(rig.root, `row-${randomBytes(6).toString('hex')}`);
  const out = join(base, 'out');
  const run = await varveHere(
    rig,
    rig.work,
    [
      ...['build', '--progress=rawjson', ...args],
      ...[...(output ? ['-o', `type=local,dest=${out}`] : []), context],
    ],
    { ...TRIES, ...env, VARVE_ROOT: join(base, 'store') },
  );
  const files = output
    ? ['a', 'b'].map((name) => readFileSync(join(out, name), 'utf8')).join('')
    : undefined;
  rmSync(base, { recursive: true, force: true });
  const said = [...run.stderr.matchAll(/"short":"([^"]*)"/g)].map(([, short]) =>
    Buffer.from(short ?? '', 'base64').toString('utf8'),
  );
  const error = /^error.*$/m.exec(run.stderr)?.[0];
  const steps = Object.entries(statesOf(run.stderr)).filter(([step]) => step.startsWith('['));
  return {
    status: run.status,
    steps: steps.map(([, state]) => state).join(' '),
    said: [...said, ...(error === undefined ? [] : [error])].join(' | '),
    ...(files === undefined ? {} : { files }),
  };
}
