import assert from 'node:assert/strict';
import { join } from 'node:path';
import { BUSYBOX, Rig, statesOf } from './rig.ts';

/** Two stages; what a step makes is copied into an image with a file of the context. */
export const DOCKERFILE = `${BUSYBOX.replace('scratch', 'scratch AS tool')}RUN echo made > /made
FROM scratch
COPY --from=tool /made /made
COPY b.txt /b
`;

/** The states of the steps when all are found. */
export const CACHED: Readonly<Record<string, string>> = {
  '[stage-1 1/2] COPY --from=tool /made /made': 'CACHED',
  '[stage-1 2/2] COPY b.txt /b': 'CACHED',
  '[tool 1/3] COPY busybox /bin/sh': 'CACHED',
  '[tool 2/3] COPY busybox /bin/busybox': 'CACHED',
  '[tool 3/3] RUN echo made > /made': 'CACHED',
};

/** The last step of the Dockerfile: the only one that the file of the context changes. */
export const LAST = '[stage-1 2/2] COPY b.txt /b';

/** A world with the Dockerfile in `app`. */
export function cacheWorld(): Rig {
  const rig = new Rig();
  rig.context('app', { Dockerfile: DOCKERFILE, 'b.txt': 'b\n' });
  return rig;
}

/** What a build came to. */
export interface CacheBuild {
  readonly status: number | null;
  /** States of the steps by name. */
  readonly steps: Readonly<Record<string, string>>;
  /** Warnings. */
  readonly said: string;
  readonly stderr: string;
}

/** Builds `app` in a store of that name, whatever comes of it. */
export async function tryBuild(
  rig: Rig,
  store: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CacheBuild> {
  const run = await rig.varve(['build', '--progress=rawjson', ...args, 'app'], {
    env: { VARVE_ROOT: join(rig.root, store), ...env },
  });
  const steps = Object.entries(statesOf(run.stderr)).filter(([name]) => name.startsWith('['));
  return {
    status: run.status,
    steps: Object.fromEntries(steps),
    said: warnings(run.stderr),
    stderr: run.stderr,
  };
}

/** As `tryBuild`, of a build that has to succeed. */
export async function build(...args: Parameters<typeof tryBuild>): Promise<CacheBuild> {
  const done = await tryBuild(...args);
  assert.equal(done.status, 0, done.stderr);
  return done;
}

/** The warnings in a stream of status lines. */
function warnings(stream: string): string {
  return [...stream.matchAll(/"short":"([^"]*)"/g)]
    .map(([, short]) => Buffer.from(short ?? '', 'base64').toString('utf8'))
    .join('\n');
}

/** The lines of the report about caches, without byte counts. */
export function sourceLines(stream: string): string[] {
  const ids = [...stream.matchAll(/"id":"((?:[^"\\]|\\.)*)"/g)].map(([, id]) => id ?? '');
  return ids.filter((id) => /^\S+: (?:asked|not read|refused|\d+ steps? used)/.test(id));
}
