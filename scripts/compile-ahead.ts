/**
 * `node compile-ahead.ts DIR NAME`: runs some builds with a bundle and keeps what V8 compiled for them beside it. It must run with the flags
 * of `bin/varve`.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { loadProgram } from '../src/cli/load-program.ts';

const [given = '', name = ''] = process.argv.slice(2);
const dir = resolve(given);
const work = mkdtempSync(join(tmpdir(), 'varve-ahead-'));
process.on('exit', () => rmSync(work, { recursive: true, force: true }));
process.env['VARVE_ROOT'] = join(work, 'store');
const context = (path: string, files: Readonly<Record<string, string>>): string => {
  const at = join(work, path);
  mkdirSync(join(at, 'src'), { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(at, file), text);
  return at;
};

const layout = join(work, 'layout');
const base = ['--build-context', `base=oci-layout://${layout}:latest`];
const file = (text: string): string => `FROM base AS one\nARG A=1\nENV B=$A PATH=/bin\n${text}`;
const first = context('base', { Dockerfile: 'FROM scratch\nCOPY f /f\nCMD ["/f"]\n', f: 'f' });
const app = context('app', {
  Dockerfile: file('COPY f /f\nCOPY src /src\nFROM base\nWORKDIR /a\nCOPY --from=one /f /b\n'),
  '.dockerignore': '*.log\n',
  'src/a': 'a',
  f: 'f',
});
/** Every instruction in its usual forms. */
const steps = context('steps', {
  f: 'f',
  Dockerfile: `# syntax=docker/dockerfile:1
# what stands above
ARG BASE=base
FROM --platform=$BUILDPLATFORM \${BASE} AS one
ARG TARGETPLATFORM A=1.2
ENV HOME=/srv APP_VERSION=\${A:-none} \\
    PATH="/opt/bin:$PATH"
LABEL org.example.stage="one" org.example.version=$APP_VERSION
WORKDIR $HOME
SHELL ["/bin/sh", "-o", "pipefail", "-c"]
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \\
    --mount=type=secret,id=token --mount=type=tmpfs,target=/tmp \\
    apt-get update && \\
    # a comment
    rm -rf /tmp/*
RUN --mount=type=bind,source=src,target=/src --network=none make "$A" > '/out'
RUN <<EOF
set -e
echo "$A"
EOF
RUN ["/bin/true", "a"]
COPY --chown=1:1 --chmod=0644 --exclude=*.md src/ ./src/
COPY <<-CONF /etc/app.conf
	home=\${HOME}
	CONF
ADD f /f
USER 1:1
EXPOSE 80/tcp 90
VOLUME ["/data", "/cache"]
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=3s CMD curl -f http://localhost/ || exit 1
ONBUILD RUN true
ENTRYPOINT ["/usr/bin/tini", "--"]
CMD ["a", "b"]
FROM scratch
MAINTAINER a
COPY --link --from=one /srv /srv/below
COPY --from=base /f /g
CMD a b
`,
});
// V8 throws away code that was not run for a while.
setFlagsFromString('--no-flush-bytecode');
const { script, program } = loadProgram({
  ...{ dir, name },
  require: createRequire(join(dir, 'varve.cjs')),
});
const run = async (...argv: string[]): Promise<void> => {
  process.argv = [process.argv[0] ?? '', join(dir, 'varve.cjs'), ...argv];
  await program.start();
};
await run('build', '-t', 'base', '-o', `type=oci,dest=${layout},tar=false`, first);
// Built, found, and with one file changed.
for (const text of ['f', 'f', 'g']) {
  writeFileSync(join(app, 'f'), text);
  await run('build', '--progress=plain', ...base, '-t', 'app', app);
}
await run('build', '--progress=plain', '--plan', ...base, steps);
// Code belongs to the flags with which it was made.
setFlagsFromString('--flush-bytecode');
writeFileSync(join(dir, `${name}.code`), script.createCachedData());
process.exit(0);
