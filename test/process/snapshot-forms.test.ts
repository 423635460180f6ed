import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { obstacleToMounting } from '../../src/snapshot/index.ts';
import { BUSYBOX, needsSteps, Rig, statesOf } from '../rig/rig.ts';

const obstacle = needsSteps === false ? await obstacleToMounting(tmpdir()) : needsSteps;
const options = { skip: obstacle ?? false };

const APP = `FROM base AS made
COPY src/ /src/
RUN --network=none cat /src/large /src/small /kept > /sum; ls /src /dir > /list; busybox stat -c "%n %a %u %s %Y" /src/large /kept >> /list; rm /src/small; ln /src/large /linked; echo more >> /kept
FROM base
COPY --from=made / /all/
RUN --network=none cat /all/kept /all/list > /end; test ! -e /gone; test ! -e /dir/old
`;

/** An image with whiteouts, an opaque directory and links, as a directory that other stores read. */
async function baseLayout(rig: Rig): Promise<string> {
  const dockerfile = `${BUSYBOX}RUN --network=none mkdir /dir; echo 1 > /dir/old; echo 2 > /gone; echo 3 > /kept; ln -s kept /link; ln /kept /kept2
RUN --network=none rm -r /gone /dir; mkdir /dir; echo 4 > /dir/new
`;
  rig.context('base', { Dockerfile: dockerfile });
  const out = ['-t', 'base:latest', '-o', 'type=oci,dest=layout,tar=false'];
  const built = await rig.varve(['build', ...out, 'base'], {
    env: { VARVE_ROOT: join(rig.root, 'first') },
  });
  assert.equal(built.status, 0, built.stderr);
  return join(rig.work, 'layout');
}

/** The layers of a store, by how they are kept: `packed` ones may have an image for the kernel. */
function formsOf(store: string): Readonly<Record<'packed' | 'mounted' | 'extracted', number>> {
  const layers = join(store, 'snapshots/layers');
  const names = readdirSync(layers);
  const packed = names.filter((name) => name.endsWith('.pack'));
  return {
    packed: packed.length,
    mounted: packed.filter((name) => existsSync(join(layers, name, 'erofs'))).length,
    extracted: names.length - packed.length,
  };
}

test(
  'an image built on mounted layers is the one that is built on extracted ones',
  options,
  async () => {
    await using rig = new Rig();
    const layout = await baseLayout(rig);
    rig.context('app', {
      Dockerfile: APP,
      'src/large': 'large '.repeat(60_001),
      'src/small': 'small',
    });
    const build = async (form: string): Promise<readonly [unknown, unknown, unknown]> => {
      const store = join(rig.root, form);
      const run = await rig.varve(
        [
          ...[
            'build',
            '--progress=rawjson',
            '--build-context',
            `base=oci-layout://${layout}:latest`,
          ],
          ...[
            '-o',
            'type=image,name=app,rewrite-timestamp=true',
            '--metadata-file',
            `${form}.json`,
          ],
          'app',
        ],
        { env: { VARVE_ROOT: store, VARVE_SNAPSHOTS: form, SOURCE_DATE_EPOCH: '1700000000' } },
      );
      assert.equal(run.status, 0, run.stderr);
      const written = readFileSync(join(rig.work, `${form}.json`), 'utf8');
      const digest = /"containerimage.digest": ?"(sha256:[0-9a-f]+)"/.exec(written)?.[1];
      return [digest, statesOf(run.stderr), formsOf(store)];
    };
    const [mounted, extracted] = [await build('erofs'), await build('directories')];
    assert.notEqual(mounted[0], undefined);
    assert.deepEqual(mounted.slice(0, 2), extracted.slice(0, 2));
    // Four layers are the base's, two are those of the steps that copy, two those that run.
    assert.deepEqual(
      [mounted[2], extracted[2]],
      [
        { packed: 6, mounted: 6, extracted: 2 },
        { packed: 2, mounted: 0, extracted: 8 },
      ],
    );
    const again = await build('erofs');
    assert.deepEqual(again[0], mounted[0]);
  },
);

test(
  'a step that is killed on mounted layers leaves no mount, and the next build succeeds',
  options,
  async () => {
    await using rig = new Rig();
    const layout = await baseLayout(rig);
    const step =
      'RUN --network=none cat /kept; test -e /going || while true; do cat /kept > /x; done';
    rig.context('app', { Dockerfile: `FROM base\nCOPY busybox /b\n${step}\n` });
    const env = { VARVE_SNAPSHOTS: 'erofs' };
    const context = ['--build-context', `base=oci-layout://${layout}:latest`];
    const { child, done } = rig.start(['build', '--progress=plain', ...context, 'app'], { env });
    await new Promise<void>((resolve) => {
      let text = '';
      child.stderr?.on('data', (more: string) => {
        text += more;
        if (/^#\d+ \d+\.\d+ 3$/m.test(text)) resolve();
      });
      child.once('close', () => resolve());
    });
    child.kill('SIGKILL');
    await done;
    const mounts = (): string[] =>
      readFileSync('/proc/self/mountinfo', 'utf8')
        .split('\n')
        .filter((line) => line.includes(rig.root))
        .map((line) => line.split(' - ')[1]?.split(' ')[0] ?? '');
    assert.deepEqual(mounts(), ['tmpfs', ...Array.from({ length: 5 }, () => 'erofs'), 'overlay']);
    const tidied = await rig.varve(['tidy'], { env });
    assert.deepEqual([tidied.status, mounts()], [0, []]);
    assert.deepEqual(readdirSync(join(rig.store, 'snapshots/work')), []);
    rig.write('app/Dockerfile', `FROM base\nCOPY busybox /going\n${step}\n`);
    const next = await rig.varve(['build', ...context, 'app'], { env });
    assert.equal(next.status, 0, next.stderr);
    const verify = async (
      ...args: readonly string[]
    ): Promise<readonly [number | null, string]> => {
      const run = await rig.varve(['cache', 'verify', '--json', ...args], { env });
      return [run.status, run.stdout.match(/"what": ?"[^"]+"/g)?.join() ?? ''];
    };
    assert.deepEqual(await verify(), [0, '']);
    for (const [name, what] of [
      ['erofs', 'layer-image'],
      ['data', 'layer'],
    ] as const) {
      const [path = ''] = [...rig.files(join(rig.store, 'snapshots/layers'))]
        .filter(
          ([file, bytes]) =>
            file.endsWith(`/${name}`) && bytes.length > 100_000 === (name === 'data'),
        )
        .map(([file]) => file);
      const bytes = readFileSync(path);
      const at = name === 'erofs' ? 1300 : bytes.length >> 1;
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      writeFileSync(path, bytes);
      const [status, found] = await verify();
      assert.deepEqual([status, found.includes(`"${what}"`)], [3, true], found);
      assert.equal((await verify('--repair'))[0], 0);
      assert.deepEqual(await verify(), [0, '']);
    }
    rig.write('app/Dockerfile', `FROM base\nCOPY busybox /going\n${step}\nRUN cat /kept\n`);
    const last = await rig.varve(['build', '--progress=plain', ...context, 'app'], { env });
    assert.equal(last.status, 0, last.stderr);
  },
);
