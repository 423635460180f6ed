/**
 * `node bench/parse.ts [FILE]`: how long parsing and lowering take in a new process of the bundled program, after its
 * start: its code is compiled ahead as always, no file was parsed before. Without FILE a file of 175
 * instructions is made.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundle } from '../scripts/bundle.ts';
import { NODE_FLAGS } from '../scripts/bundle-options.ts';
import { parseJson } from '../src/base/index.ts';
import { spread } from './measure.ts';

const RUNS = 21;
const STAGES = 7;
/** Instructions of a stage, which make 175 with FROM and those around the stages. */
const BODY = (i: number): readonly string[] => [
  'ARG DEBIAN_FRONTEND=noninteractive',
  `ARG VERSION_${i}=1.${i}.0`,
  `ENV APP_HOME=/srv/app${i} APP_VERSION=\${VERSION_${i}:-none} \\\n    PATH="/opt/bin:$PATH"`,
  `LABEL org.example.stage="${i}" org.example.version=$APP_VERSION`,
  'WORKDIR $APP_HOME',
  'SHELL ["/bin/bash", "-o", "pipefail", "-c"]',
  'RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \\\n    --mount=type=cache,target=/var/lib/apt,sharing=locked \\\n    apt-get update && apt-get install -y --no-install-recommends \\\n    # build tools\n    build-essential \\\n    curl \\\n    && rm -rf /tmp/*',
  `COPY requirements${i}.txt pyproject.toml ./`,
  'RUN --mount=type=cache,target=/root/.cache/pip --mount=type=secret,id=token pip install -r requirements.txt',
  'COPY --chown=1000:1000 --exclude=*.md src/ ./src/',
  'RUN <<EOF\nset -e\necho "$APP_VERSION" > version\nchmod 0644 version\nEOF',
  'COPY <<-CONF /etc/app.conf\n\thome=${APP_HOME}\n\tname="app"\n\tCONF',
  'RUN --mount=type=bind,source=scripts,target=/scripts /scripts/prepare.sh --fast "${APP_HOME}"',
  'RUN ["/bin/sh", "-c", "echo done"]',
  'USER 1000:1000',
  'EXPOSE 8080/tcp 9090',
  'VOLUME ["/data", "/cache"]',
  'STOPSIGNAL SIGTERM',
  'HEALTHCHECK --interval=30s --timeout=3s CMD curl -f http://localhost:8080/ || exit 1',
  'ENTRYPOINT ["/usr/bin/tini", "--"]',
  'CMD ["python", "-m", "app"]',
];

function makeFile(): string {
  const lines = ['# syntax=docker/dockerfile:1', 'ARG PYTHON=3.13', 'ARG DISTRO=bookworm'];
  for (let i = 0; i < STAGES; i++) {
    lines.push(
      `# stage${i} is a part`,
      `FROM python:\${PYTHON}-\${DISTRO} AS stage${i}`,
      ...BODY(i),
    );
    if (i > 0) lines.push(`COPY --link --from=stage${i - 1} /srv /srv/below`, 'RUN ls -l /srv');
    else lines.push('ENV FIRST=1', 'RUN true');
  }
  lines.push(
    `FROM stage${STAGES - 1} AS last`,
    ...Array.from({ length: 4 }, (_, i) => `RUN echo ${i} $FIRST`),
  );
  return `${lines.join('\n')}\n`;
}

const dir = mkdtempSync(join(tmpdir(), 'varve-bench-'));
try {
  const [given] = process.argv.slice(2);
  const file = given ?? join(dir, 'Dockerfile');
  if (given === undefined) writeFileSync(file, makeFile());
  symlinkSync(join(import.meta.dirname, '../node_modules'), join(dir, 'node_modules'));
  const name = await bundle(dir, 'bench/parse-file.ts');
  const program = join(import.meta.dirname, 'parse-run.ts');
  const [times, cpu]: [number[], number[]] = [[], []];
  let rest = '';
  for (let run = 0; run < RUNS; run++) {
    const argv = [...NODE_FLAGS, program, dir, name, file];
    const done = spawnSync(process.execPath, argv, { encoding: 'utf8' });
    if (done.status !== 0) throw new Error(done.stderr);
    const parsed = parseJson(done.stdout);
    if (!parsed.ok) throw new Error(parsed.error);
    // The line that parse-file.ts prints.
    const { milliseconds, cpuMilliseconds, rounds, ops } = parsed.value as Readonly<
      Record<'milliseconds' | 'cpuMilliseconds' | 'rounds' | 'ops', number>
    >;
    times.push(milliseconds);
    cpu.push(cpuMilliseconds);
    rest = `${rounds} rounds, ${ops} ops`;
  }
  const what = given ?? '175 instructions';
  process.stdout.write(
    `${what}, ${rest}, ${RUNS} new processes, milliseconds: wall ${spread(times)}, main thread ${spread(cpu)}; load average ${loadavg()[0]?.toFixed(1)}\n`,
  );
} finally {
  rmSync(dir, { recursive: true, force: true });
}
