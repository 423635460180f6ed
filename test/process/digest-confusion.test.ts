import { deepEqual } from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { sha256 } from '../../src/base/index.ts';
import { MEDIA } from '../../src/oci/index.ts';
import { tarOf } from '../conformance/tar-rig.ts';
import { note } from '../rig/golden.ts';
import { type HostileImage, hostileImages } from '../rig/hostile-images.ts';
import { varveHere } from '../rig/in-process.ts';
import { type Answered, Recorder } from '../rig/recorder.ts';
import { Rig, type Run } from '../rig/rig.ts';

/** What a registry that has the image answers. */
function registryOf(image: HostileImage): (request: { readonly path: string }) => Answered {
  return ({ path }) => {
    const name = path.split('/').at(-1) ?? '';
    const served = name === '1' ? image.top : image.blobs.get(name);
    if (served === undefined) return { status: 404 };
    return {
      status: 200,
      headers: {
        'content-type': served.type ?? 'application/octet-stream',
        ...(served.digest === undefined ? {} : { 'docker-content-digest': served.digest }),
      },
      body: served.bytes,
    };
  };
}

/** The image as the files of an OCI layout. */
function layoutOf(image: HostileImage): ReadonlyMap<string, Uint8Array> {
  const { bytes, type = '' } = image.top;
  const top = { mediaType: type, digest: sha256(bytes), size: bytes.length };
  const entry = { ...top, annotations: { 'org.opencontainers.image.ref.name': 'h.test/app:1' } };
  const index = { schemaVersion: 2, mediaType: MEDIA.ociIndex, manifests: [entry] };
  const files = new Map<string, Uint8Array>([
    ['oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}')],
    ['index.json', Buffer.from(JSON.stringify(index))],
    [`blobs/sha256/${top.digest.slice(7)}`, bytes],
  ]);
  for (const [digest, blob] of image.blobs)
    if (/^sha256:[0-9a-f]{64}$/.test(digest))
      files.set(`blobs/sha256/${digest.slice(7)}`, blob.bytes);
  return files;
}

/** Runs a command that asks a registry twice and then gives up: nothing here gets better by asking. */
const varve = async (rig: Rig, args: readonly string[]): Promise<Run> =>
  await varveHere(rig, rig.work, args, { VARVE_NETWORK_TRIES: '2' });

const OUT = ['--output', 'type=tar,dest=out.tar'];

/** Everything that takes images from outside. */
const READERS: Readonly<
  Record<string, (rig: Rig, image: HostileImage, at: string) => Promise<Run>>
> = {
  'FROM of a registry': async (rig, _, at) => {
    rig.write('app/Dockerfile', `FROM ${at}/app:1\n`);
    return await varve(rig, ['build', ...OUT, 'app']);
  },
  'COPY --from of a registry': async (rig, _, at) => {
    rig.write('app/Dockerfile', `FROM scratch\nCOPY --from=${at}/app:1 /hello /\n`);
    return await varve(rig, ['build', ...OUT, 'app']);
  },
  'image pull': async (rig, _, at) => {
    // A pull keeps layers as they came; whoever reads them finds out.
    const pulled = await varve(rig, ['image', 'pull', `${at}/app:1`]);
    if (pulled.status !== 0) return pulled;
    rig.write('app/Dockerfile', `FROM ${at}/app:1\n`);
    return await varve(rig, ['build', ...OUT, 'app']);
  },
  'a layout as a context': async (rig, image) => {
    for (const [path, bytes] of layoutOf(image)) rig.write(`layout/${path}`, bytes);
    rig.write('app/Dockerfile', 'FROM base\n');
    const tag = `base=oci-layout://${join(rig.work, 'layout')}@${sha256(image.top.bytes)}`;
    return await varve(rig, ['build', '--build-context', tag, ...OUT, 'app']);
  },
  'image load': async (rig, image) => {
    const members = [...layoutOf(image)].map(([name, data]) => ({ name, data }));
    writeFileSync(join(rig.work, 'image.tar'), tarOf(members));
    const loaded = await varve(rig, ['image', 'load', '-i', 'image.tar']);
    if (loaded.status !== 0) return loaded;
    for (const args of [
      ['image', 'ls'],
      ['image', 'inspect', 'h.test/app:1'],
      ['image', 'save', '-o', 'again.tar', 'h.test/app:1'],
      ['cache', 'df'],
      ['cache', 'ls'],
      ['cache', 'verify'],
    ]) {
      const shown = await varve(rig, args);
      if (shown.status !== 0) return shown;
    }
    rig.write('app/Dockerfile', `FROM h.test/app:1\n`);
    return await varve(rig, ['build', ...OUT, 'app']);
  },
};

// What a client tries again after a pause waits beside the others.
describe('images whose parts are not what they are said to be', { concurrency: true }, () => {
  for (const [reader, read] of Object.entries(READERS))
    test(`${reader} refuses them and says why`, async () => {
      const wrong: string[] = [];
      let [refused, taken] = [0, 0];
      const images = hostileImages().filter(
        (image) => image.registryOnly !== true || !/layout|load/.test(reader),
      );
      const judge = async (image: HostileImage): Promise<void> => {
        await using server = await Recorder.start({}, registryOf(image));
        await using rig = new Rig();
        mkdirSync(join(rig.work, 'app'));
        const run = await read(rig, image, server.host);
        const [said = ''] = run.stderr
          .split('\n')
          .filter((line) => /^(?:error|internal)/.test(line));
        if (run.status === 0) taken++;
        else refused++;
        if (image.either === true && run.status !== 70) return;
        if (
          image.refused === undefined
            ? run.status !== 0
            : run.status !== 3 || !image.refused.test(said)
        )
          wrong.push(`${image.danger}: exit ${String(run.status)} ${said}`);
      };
      await Promise.all(images.map(judge));
      deepEqual(wrong, []);
      note(`confused images, ${reader}: ${refused} refused, ${taken} good or harmless`);
    });
});
