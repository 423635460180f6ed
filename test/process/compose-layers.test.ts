import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { listDisk } from '../rig/disk-listing.ts';
import { DiskRepo, needsDiskTools } from '../rig/disk-repo.ts';
import { Rig } from '../rig/rig.ts';

const skip = { skip: needsDiskTools };
let tiny: DiskRepo | undefined;
let rig: Rig;

before(async () => {
  rig = new Rig();
  if (needsDiskTools === false) tiny = await DiskRepo.start();
});
after(async () => {
  await tiny?.[Symbol.asyncDispose]();
  await rig[Symbol.asyncDispose]();
});

function writeBase(packages: string, layers: number): void {
  assert.ok(tiny);
  rig.write(
    'base.yml',
    `suite: bookworm
variant: essential
mirrors: [{uri: "${tiny.repo.uri}", signed-by: "${tiny.repo.keyring()}"}]
packages: [${packages}]
files: [{path: /etc/motd, content: "hello\\n"}]
layers: ${layers}
`,
  );
}

interface Document {
  readonly manifests?: readonly { readonly digest: string }[];
  readonly layers?: readonly { readonly digest: string }[];
}

/** Digests of the layers of the image in a directory. */
function layersOf(dir: string): readonly string[] {
  // Indexes and manifests of the image specification.
  const read = (path: string): Document =>
    JSON.parse(readFileSync(join(rig.work, dir, path), 'utf8')) as Document;
  let document = read('index.json');
  while (document.layers === undefined)
    document = read(`blobs/sha256/${document.manifests?.[0]?.digest.slice(7) ?? ''}`);
  return document.layers.map((l) => l.digest);
}

async function varve(...args: readonly string[]): Promise<void> {
  const run = await rig.varve([...args, '--progress=plain']);
  assert.equal(run.status, 0, run.stderr);
}

test(
  'a root in layers is the same tree, one package more changes two of its layers, and the way back none',
  skip,
  async () => {
    const packages = 'gzip, zstd, xz-utils, bzip2';
    const image = async (dir: string): Promise<readonly string[]> => {
      await varve('compose', 'base.yml', '-o', `type=oci,dest=${dir},tar=false`);
      return layersOf(dir);
    };
    writeBase(packages, 1);
    await varve('compose', 'base.yml', '-o', 'type=local,dest=whole');
    const one = await image('one');
    writeBase(packages, 5);
    await varve('compose', 'base.yml', '-o', 'type=local,dest=divided');
    const five = await image('five');
    writeBase(`${packages}, extra`, 5);
    const more = await image('more');
    writeBase(packages, 5);
    const back = await image('back');
    assert.deepEqual(listDisk(join(rig.work, 'divided')), listDisk(join(rig.work, 'whole')));
    assert.deepEqual(
      {
        counts: [one.length, five.length, more.length],
        changed: five.flatMap((digest, i) => (more[i] === digest ? [] : [i])),
        back,
      },
      { counts: [1, 5, 5], changed: [3, 4], back: five },
    );
  },
);

test('a Dockerfile stands on the layers of a template', skip, async () => {
  writeBase('gzip', 3);
  rig.write('Dockerfile', 'FROM base\nCOPY base.yml /x\n');
  await varve('compose', 'base.yml', '-o', 'type=oci,dest=below,tar=false');
  await varve(
    ...['build', '.', '--build-context', 'base=template:base.yml'],
    ...['-o', 'type=oci,dest=above,tar=false'],
  );
  const [below, above] = [layersOf('below'), layersOf('above')];
  assert.deepEqual([above.slice(0, -1), above.length], [below, 4]);
});
