import assert from 'node:assert/strict';
import { join } from 'node:path';
import { BUSYBOX, Rig, statesOf } from './rig.ts';

/** Steps in two stages with a small change to make. */
export const SERVICE_DOCKERFILE = `${BUSYBOX.replace('scratch', 'scratch AS tool')}RUN echo made > /made
FROM scratch
COPY --from=tool /made /made
COPY b.txt /b
`;
/** What all its steps are when a cache answers. */
export const ALL_CACHED = {
  '[stage-1 1/2] COPY --from=tool /made /made': 'CACHED',
  '[stage-1 2/2] COPY b.txt /b': 'CACHED',
  '[tool 1/3] COPY busybox /bin/sh': 'CACHED',
  '[tool 2/3] COPY busybox /bin/busybox': 'CACHED',
  '[tool 3/3] RUN echo made > /made': 'CACHED',
};
/** The same when none does. */
export const ALL_RUN = Object.fromEntries(Object.keys(ALL_CACHED).map((name) => [name, 'DONE']));

/** A world with the context of `SERVICE_DOCKERFILE`. */
export function serviceWorld(): Rig {
  const rig = new Rig();
  rig.context('app', { Dockerfile: SERVICE_DOCKERFILE, 'b.txt': 'b\n' });
  return rig;
}

/** What one build said. */
export interface ServiceBuild {
  readonly status: number | null;
  readonly steps: Readonly<Record<string, string>>;
  readonly said: string;
  readonly output: string;
}

/** Builds in a store of that name. */
export async function serviceBuild(
  rig: Rig,
  store: string,
  args: readonly string[],
  options: { readonly env?: Readonly<Record<string, string>>; readonly status?: number } = {},
): Promise<ServiceBuild> {
  const run = await rig.varve(['build', '--progress=rawjson', ...args, 'app'], {
    env: { VARVE_ROOT: join(rig.root, store), ...options.env },
  });
  assert.equal(run.status, options.status ?? 0, run.stderr);
  const steps = Object.entries(statesOf(run.stderr)).filter(([name]) => name.startsWith('['));
  const said = [...run.stderr.matchAll(/"short":"([^"]*)"/g)]
    .map(([, short]) => Buffer.from(short ?? '', 'base64').toString('utf8'))
    .join('\n');
  return {
    status: run.status,
    steps: Object.fromEntries(steps),
    said,
    output: run.stdout + run.stderr,
  };
}

/** Fails when any file below the world, or a text, holds the secret. */
export function assertNowhere(rig: Rig, secret: string, texts: readonly string[]): void {
  const found = [...rig.files(rig.root)].filter(([, bytes]) => bytes.includes(secret));
  assert.deepEqual(
    [found.map(([path]) => path), texts.filter((text) => text.includes(secret)).length],
    [[], 0],
  );
}
