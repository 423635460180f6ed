import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { CASES, CONTEXT, type DifferentialCase } from '../rig/differential-cases.ts';
import { note } from '../rig/golden.ts';
import { type ImageContents, readImage } from '../rig/image-tree.ts';

const VARVE = join(import.meta.dirname, '../../bin/varve');
const has = (tool: string): boolean => spawnSync('sh', ['-c', `command -v ${tool}`]).status === 0;
const missing = ['buildah', 'skopeo', 'umoci', 'runc'].filter((t) => !has(t));
const skip =
  process.getuid?.() !== 0
    ? 'needs root'
    : missing.length > 0
      ? `missing: ${missing.join(', ')}`
      : false;

/** Settings of a config that a container runtime reads; absent and empty are the same. */
function comparable(config: unknown): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(config as Record<string, unknown>)) {
    // Neither changes what a container does: a build-time remark, and a list that only builders read.
    if (key === 'ArgsEscaped' || key === 'OnBuild') continue;
    if (
      value === null ||
      value === '' ||
      JSON.stringify(value) === '[]' ||
      JSON.stringify(value) === '{}'
    )
      continue;
    out[key] = value;
  }
  // The working directory `/` is the default.
  if (out['WorkingDir'] === '/') delete out['WorkingDir'];
  // Labels with which buildah names itself.
  const labels = out['Labels'] as Record<string, string> | undefined;
  if (labels !== undefined) {
    delete labels['io.buildah.version'];
    if (Object.keys(labels).length === 0) delete out['Labels'];
  }
  return out;
}

describe('varve and buildah make the same image of the same Dockerfile', {
  skip,
  concurrency: 1,
}, () => {
  let root = '';
  let storage: string[] = [];
  let equal = 0;
  let explained = 0;

  before(() => {
    root = mkdtempSync(join(tmpdir(), 'varve-differential-'));
    storage = [
      '--root',
      join(root, 'b/root'),
      '--runroot',
      join(root, 'b/run'),
      '--storage-driver',
      'overlay',
    ];
    makeBase();
  });
  after(() => {
    note(
      `differential: ${equal} of ${CASES.length} Dockerfiles give equal config and tree with buildah, ${explained} differ for a stated reason`,
    );
    spawnSync('buildah', [...storage, 'rmi', '-a', '-f']);
    rmSync(root, { recursive: true, force: true });
  });

  function varve(args: readonly string[]): void {
    execFileSync(VARVE, args, {
      stdio: 'pipe',
      env: { ...process.env, VARVE_ROOT: join(root, 'store') },
    });
  }

  function makeBase(): void {
    const dir = join(root, 'base');
    mkdirSync(join(dir, 'etc'), { recursive: true });
    copyFileSync('/bin/busybox', join(dir, 'busybox'));
    writeFileSync(join(dir, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
    writeFileSync(join(dir, 'etc/group'), 'root:x:0:\n');
    const applets = 'sh echo cat mkdir chmod chown ls rm ln mv touch id pwd mkfifo true cp'.split(
      ' ',
    );
    writeFileSync(
      join(dir, 'Dockerfile'),
      `FROM scratch\nCOPY etc /etc\n${applets.map((a) => `COPY busybox /bin/${a}\n`).join('')}RUN mkdir -m 1777 /tmp && mkdir /root\nCMD ["/bin/sh"]\n`,
    );
    const layout = join(root, 'layout');
    varve([
      'build',
      '--progress=plain',
      '-t',
      'base:latest',
      '-o',
      `type=oci,dest=${layout},tar=false`,
      dir,
    ]);
    execFileSync(
      'skopeo',
      [
        'copy',
        '-q',
        `oci:${layout}:latest`,
        `containers-storage:[overlay@${join(root, 'b/root')}+${join(root, 'b/run')}]localhost/base:latest`,
      ],
      { stdio: 'pipe' },
    );
  }

  function makeContext(one: DifferentialCase): string {
    const dir = mkdtempSync(join(root, 'context-'));
    for (const [path, text] of Object.entries(CONTEXT)) {
      const full = join(dir, path);
      mkdirSync(path.endsWith('/') ? full : dirname(full), { recursive: true });
      if (path.endsWith('/')) continue;
      if (text.startsWith('-> ')) symlinkSync(text.slice(3), full);
      else writeFileSync(full, text);
      if (text.startsWith('#!')) chmodSync(full, 0o755);
    }
    execFileSync('tar', [
      '-czf',
      join(dir, 'archive.tar.gz'),
      '--owner=7',
      '--group=8',
      '-C',
      dir,
      'dir',
      'run.sh',
    ]);
    writeFileSync(join(dir, 'Dockerfile'), one.dockerfile);
    if (one.ignore !== undefined) writeFileSync(join(dir, '.dockerignore'), one.ignore);
    return dir;
  }

  function build(one: DifferentialCase): {
    readonly ours: ImageContents;
    readonly theirs: ImageContents;
  } {
    const context = makeContext(one);
    const common = [
      ...Object.entries(one.args ?? {}).flatMap(([k, v]) => ['--build-arg', `${k}=${v}`]),
      ...(one.target === undefined ? [] : ['--target', one.target]),
    ];
    const [ours, theirs] = [`${context}-ours`, `${context}-theirs`];
    varve([
      'build',
      '--progress=plain',
      '--build-context',
      `base=oci-layout://${join(root, 'layout')}:latest`,
      '-t',
      'x:latest',
      '-o',
      `type=oci,dest=${ours},tar=false`,
      ...common,
      context,
    ]);
    execFileSync(
      'buildah',
      [
        ...storage,
        'build',
        '--format',
        'docker',
        '--layers=false',
        '--isolation',
        'oci',
        '--pull-never',
        '-t',
        'x',
        ...common,
        context,
      ],
      { stdio: 'pipe' },
    );
    execFileSync(
      'buildah',
      [...storage, 'push', '-q', '--format', 'oci', 'x', `oci:${theirs}:latest`],
      { stdio: 'pipe' },
    );
    const result = { ours: readImage(ours, 'latest'), theirs: readImage(theirs, 'latest') };
    for (const dir of [context, ours, theirs]) rmSync(dir, { recursive: true, force: true });
    return result;
  }

  for (const one of CASES) {
    test(one.name, () => {
      const { ours, theirs } = build(one);
      const part = one.differs?.part;
      const ignored = new Set(one.differs?.paths ?? []);
      const tree = (image: ImageContents): Record<string, string> =>
        Object.fromEntries(Object.entries(image.tree).filter(([path]) => !ignored.has(path)));
      if (part !== 'tree' || ignored.size > 0) assert.deepEqual(tree(ours), tree(theirs));
      if (part !== 'config') assert.deepEqual(comparable(ours.config), comparable(theirs.config));
      if (part === undefined) equal++;
      else explained++;
    });
  }
});
