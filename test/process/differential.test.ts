import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isDeepStrictEqual, promisify } from 'node:util';
import {
  CASES,
  CONTEXT,
  type Difference,
  type DifferentialCase,
  RUN_MARKS,
} from '../rig/differential-cases.ts';
import { DockerPeer } from '../rig/docker-peer.ts';
import { note } from '../rig/golden.ts';
import { type ImageContents, readDirectory, readLayout } from '../rig/image-tree.ts';
import { varveHere } from '../rig/in-process.ts';
import { Rig } from '../rig/rig.ts';

const TABLE = join(import.meta.dirname, '../../docs/differences.md');
const execute = promisify(execFile);
const has = (tool: string): boolean => spawnSync('sh', ['-c', `command -v ${tool}`]).status === 0;
const missing = ['buildah', 'skopeo', 'runc'].filter((t) => !has(t));
const skip =
  process.getuid?.() !== 0
    ? 'needs root'
    : missing.length > 0
      ? `missing: ${missing.join(', ')}`
      : false;

/** In each image of buildah: its version. */
const OWN_LABEL = 'io.buildah.version';

/** Settings of a config that something reads; absent, empty, false and `/` as working directory are the same. */
function comparable(config: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(config)) {
    // A remark about the build, and the random name of buildah's working container.
    if (key === 'ArgsEscaped' || key === 'Hostname') continue;
    if (['null', '""', '[]', '{}', 'false'].includes(JSON.stringify(value))) continue;
    if (key === 'WorkingDir' && value === '/') continue;
    out[key] = value;
  }
  const { [OWN_LABEL]: _, ...labels } = (out['Labels'] ?? {}) as Readonly<Record<string, string>>;
  delete out['Labels'];
  return Object.keys(labels).length === 0 ? out : { ...out, Labels: labels };
}

type Places = Readonly<Record<string, Pick<Difference, 'ours' | 'theirs'>>>;

/** Where two records differ, with both sides. */
function differences(
  ours: Readonly<Record<string, unknown>>,
  theirs: Readonly<Record<string, unknown>>,
): Places {
  const found: Record<string, Pick<Difference, 'ours' | 'theirs'>> = {};
  for (const key of new Set([...Object.keys(ours), ...Object.keys(theirs)])) {
    const [a, b] = [ours[key], theirs[key]];
    if (isDeepStrictEqual(a, b)) continue;
    found[key] = {
      ...(a === undefined ? {} : { ours: a }),
      ...(b === undefined ? {} : { theirs: b }),
    };
  }
  return found;
}

const places = (wanted: Readonly<Record<string, Difference>>): Places =>
  Object.fromEntries(Object.entries(wanted).map(([key, { reason: _, ...sides }]) => [key, sides]));

/** Whether the stage that becomes the image, or one below it, has a RUN. */
const runs = (theirs: ImageContents): boolean => '/etc/hostname' in theirs.tree;

describe('varve and buildah make the same image of the same Dockerfile', {
  skip,
  concurrency: 2,
}, () => {
  const rig = new Rig();
  const { root } = rig;
  const storage = ['--root', join(root, 'b/root'), '--runroot', join(root, 'b/run')];
  storage.push('--storage-driver', 'overlay');
  const counts = { equal: 0, marked: 0, explained: 0 };
  let docker: DockerPeer | string = 'not started';
  const dockerCounts = { equal: 0, explained: 0, refused: 0 };

  before(async () => {
    await makeBase();
    docker = await DockerPeer.start(join(root, 'docker'));
    if (typeof docker !== 'string')
      await docker.load(`${join(root, 'layout')}:latest`, 'base:latest');
  });
  after(async () => {
    await using _rig = rig;
    note(
      `differential: ${CASES.length} Dockerfiles give with varve and with buildah: ${counts.equal} equal config and tree, ${counts.marked} equal but for the four places that buildah leaves after RUN, ${counts.explained} explained differences`,
    );
    note(
      typeof docker === 'string'
        ? `differential: BuildKit inside Docker was not compared: ${docker}`
        : `differential: ${CASES.length} Dockerfiles give with varve and with BuildKit inside Docker ${docker.version}: ${dockerCounts.equal} equal config and tree, ${dockerCounts.explained} explained differences, ${dockerCounts.refused} too new for it`,
    );
    if (typeof docker !== 'string') await docker[Symbol.asyncDispose]();
    spawnSync('buildah', [...storage, 'rmi', '-a', '-f']);
  });

  async function varve(args: readonly string[]): Promise<void> {
    const run = await varveHere(rig, rig.work, ['build', '--progress=plain', ...args]);
    assert.equal(run.status, 0, run.stderr);
  }

  async function makeBase(): Promise<void> {
    const dir = join(root, 'base');
    const [bin, etc] = [join(dir, 'bin'), join(dir, 'etc')];
    for (const path of [bin, etc, join(dir, 'root'), join(dir, 'tmp')])
      mkdirSync(path, { recursive: true });
    chmodSync(join(dir, 'tmp'), 0o1777);
    copyFileSync('/bin/busybox', join(bin, 'busybox'));
    for (const name of 'sh echo cat mkdir chmod chown ls rm ln mv touch id pwd mkfifo cp'.split(
      ' ',
    ))
      symlinkSync('busybox', join(bin, name));
    writeFileSync(join(etc, 'passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
    writeFileSync(join(etc, 'group'), 'root:x:0:\n');
    writeFileSync(
      join(dir, 'Dockerfile'),
      'FROM scratch\nCOPY --exclude=Dockerfile . /\nRUN echo > /made\nCMD ["/bin/sh"]\n',
    );
    const layout = join(root, 'layout');
    await varve(['-t', 'base:latest', '-o', `type=oci,dest=${layout},tar=false`, dir]);
    const where = `overlay@${join(root, 'b/root')}+${join(root, 'b/run')}`;
    const to = `containers-storage:[${where}]localhost/base:latest`;
    await execute('skopeo', ['copy', '-q', `oci:${layout}:latest`, to]);
  }

  async function makeContext(one: DifferentialCase): Promise<string> {
    const dir = mkdtempSync(join(root, 'context-'));
    for (const [path, text] of Object.entries(CONTEXT)) {
      const full = join(dir, path);
      mkdirSync(path.endsWith('/') ? full : dirname(full), { recursive: true });
      if (path.endsWith('/')) continue;
      if (text.startsWith('-> ')) symlinkSync(text.slice(3), full);
      else writeFileSync(full, text);
      if (text.startsWith('#!')) chmodSync(full, 0o755);
    }
    const archive = join(dir, 'archive.tar.gz');
    await execute('tar', ['-czf', archive, '--owner=7', '--group=8', '-C', dir, 'dir', 'run.sh']);
    writeFileSync(join(dir, 'Dockerfile'), one.dockerfile);
    if (one.ignore !== undefined) writeFileSync(join(dir, '.dockerignore'), one.ignore);
    return dir;
  }

  async function buildOurs(context: string, common: readonly string[]): Promise<ImageContents> {
    const to = `${context}-ours`;
    const base = `base=oci-layout://${join(root, 'layout')}:latest`;
    const output = `type=oci,dest=${to},tar=false`;
    await varve(['--build-context', base, '-t', 'x:latest', '-o', output, ...common, context]);
    return readLayout(to);
  }

  async function buildTheirs(context: string, common: readonly string[]): Promise<ImageContents> {
    const to = `${context}-theirs`;
    const flags = ['--format=docker', '--layers=false', '--isolation=oci', '--pull-never'];
    // Another runtime may be installed beside it, and refuse the control groups of this machine.
    flags.push('--runtime=runc');
    await execute('buildah', [
      ...storage,
      'build',
      ...flags,
      '-t',
      `dir:${to}`,
      ...common,
      context,
    ]);
    return readDirectory(to);
  }

  function compareWithDocker(
    one: DifferentialCase,
    ours: ImageContents,
    theirs: ImageContents | string,
  ): void {
    const wanted = one.docker ?? {};
    const found =
      typeof theirs === 'string'
        ? { refuses: theirs }
        : {
            tree: differences(ours.tree, theirs.tree),
            config: differences(comparable(ours.config), comparable(theirs.config)),
          };
    if ('refuses' in found) {
      assert.ok(
        wanted.refuses !== undefined && found.refuses.includes(wanted.refuses),
        `Docker: ${found.refuses}`,
      );
      dockerCounts.refused++;
      return;
    }
    assert.deepEqual(found, {
      tree: places(wanted.tree ?? {}),
      config: places(wanted.config ?? {}),
    });
    dockerCounts[one.docker === undefined ? 'equal' : 'explained']++;
  }

  for (const one of CASES) {
    test(one.name, async () => {
      const context = await makeContext(one);
      const common = Object.entries(one.args ?? {}).map(([k, v]) => `--build-arg=${k}=${v}`);
      if (one.target !== undefined) common.push('--target', one.target);
      const ours = await buildOurs(context, common);
      const theirs = await buildTheirs(context, common);
      const moby = typeof docker === 'string' ? undefined : await docker.build(context, common);
      for (const dir of ['', '-ours', '-theirs', '-docker', '-docker.tar'].map((e) => context + e))
        rmSync(dir, { recursive: true, force: true });
      const marks = runs(theirs) ? RUN_MARKS : {};
      assert.deepEqual(
        {
          tree: differences(ours.tree, theirs.tree),
          config: differences(comparable(ours.config), comparable(theirs.config)),
        },
        {
          tree: places({ ...marks, ...one.differs?.tree }),
          config: places(one.differs?.config ?? {}),
        },
      );
      if (moby !== undefined) compareWithDocker(one, ours, moby);
      counts[one.differs !== undefined ? 'explained' : runs(theirs) ? 'marked' : 'equal']++;
    });
  }

  test('docs/differences.md lists each explained difference', () => {
    const table = readFileSync(TABLE, 'utf8');
    const reasons = CASES.flatMap(({ differs, docker: moby }) =>
      [differs?.tree, differs?.config, moby?.tree, moby?.config].flatMap((d) =>
        Object.entries(d ?? {}),
      ),
    );
    const unlisted = [...reasons, ...Object.entries(RUN_MARKS)].filter(
      ([place, { reason }]) =>
        !table.split('\n').some((row) => row.includes(`\`${place}\``) && row.includes(reason)),
    );
    assert.deepEqual(unlisted, []);
  });
});
