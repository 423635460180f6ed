import { deepEqual } from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { sha256 } from '../../src/base/index.ts';
import { MEDIA } from '../../src/oci/index.ts';
import { headOfFile, peakOf, zstdBomb } from '../rig/bombs.ts';
import { note } from '../rig/golden.ts';
import { varveHere } from '../rig/in-process.ts';
import { Recorder } from '../rig/recorder.ts';
import { FileServer } from '../rig/remote.ts';
import { needsSteps, Rig, type Run } from '../rig/rig.ts';

/** What a reader may take beside what the test process has already; the bombs are a GiB and more. */
const MAX_MIB = 400;
const GIB = 2 ** 30;
/** 36 kB that unpack to a member of a GiB and more. */
const BOMB = zstdBomb(GIB + 2 ** 24, headOfFile('zeros', 8 * GIB));
const TOO_FAR = 'error[ST203]: zstd data expands to more than 1073741824 bytes';

/** An image whose one layer is the bomb. */
function registryOf(layer: Uint8Array): (request: { readonly path: string }) => {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
} {
  const config = Buffer.from(
    JSON.stringify({
      ...{ architecture: 'amd64', os: 'linux' },
      rootfs: { type: 'layers', diff_ids: [sha256('bomb')] },
    }),
  );
  const described = (mediaType: string, bytes: Uint8Array) => ({
    ...{ mediaType, digest: sha256(bytes), size: bytes.length },
  });
  const manifest = Buffer.from(
    JSON.stringify({
      ...{ schemaVersion: 2, mediaType: MEDIA.ociManifest },
      config: described(MEDIA.ociConfig, config),
      layers: [described(MEDIA.ociLayerZstd, layer)],
    }),
  );
  const blobs = new Map([config, layer].map((bytes) => [sha256(bytes) as string, bytes]));
  return ({ path }) => {
    const name = path.split('/').at(-1) ?? '';
    if (name === '1' || name === sha256(manifest))
      return { status: 200, headers: { 'content-type': MEDIA.ociManifest }, body: manifest };
    const body = blobs.get(name);
    return body === undefined ? { status: 404 } : { status: 200, body };
  };
}

const OUT = ['--output', 'type=tar,dest=out.tar'];

/** Everything that unpacks what comes from outside. */
const IMPORTERS: Readonly<Record<string, (rig: Rig) => Promise<Run>>> = {
  'a layer of a base image': async (rig) => {
    await using server = await Recorder.start({}, registryOf(BOMB));
    rig.write('app/Dockerfile', `FROM ${server.host}/app:1\n`);
    return await varveHere(rig, rig.work, ['build', ...OUT, 'app']);
  },
  'image load': async (rig) => {
    rig.write('image.tar', BOMB);
    return await varveHere(rig, rig.work, ['image', 'load', '-i', 'image.tar']);
  },
  'ADD of an archive': async (rig) => {
    rig.write('app/Dockerfile', 'FROM scratch\nADD bomb.tar.zst /\n');
    rig.write('app/bomb.tar.zst', BOMB);
    return await varveHere(rig, rig.work, ['build', ...OUT, 'app']);
  },
  'ADD --unpack of an address': async (rig) => {
    await using server = await FileServer.start();
    server.files.set('/bomb', { body: BOMB });
    rig.write('app/Dockerfile', `FROM scratch\nADD --unpack=true ${server.url('/bomb')} /\n`);
    return await varveHere(rig, rig.work, ['build', ...OUT, 'app']);
  },
  'a context at an address': async (rig) => {
    await using server = await FileServer.start();
    server.files.set('/context.tar', { body: BOMB });
    return await varveHere(rig, rig.work, ['build', ...OUT, server.url('/context.tar')]);
  },
  'a context in standard input': async (rig) =>
    await varveHere(rig, rig.work, ['build', ...OUT, '-'], {}, once(BOMB)),
};

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  // A stream begins later than whoever asks for it.
  await Promise.resolve();
  for (let at = 0; at < bytes.length; at += 4096) yield bytes.subarray(at, at + 4096);
}

/** What lies in places for what is being made, and layers and trees that were begun. */
function unfinished(rig: Rig): string[] {
  return ['tmp', 'content/ingest', 'snapshots/work'].flatMap((dir) => {
    const path = join(rig.store, dir);
    return existsSync(path) ? readdirSync(path).map((name) => `${dir}/${name}`) : [];
  });
}

/** Bytes on disk below the store. */
function sizeOf(rig: Rig): number {
  let sum = 0;
  for (const [, bytes] of rig.files(rig.store)) sum += bytes.length;
  return sum;
}

describe('decompression bombs', { skip: needsSteps }, () => {
  for (const [importer, read] of Object.entries(IMPORTERS))
    test(`${importer}: is refused in little memory, and nothing of it is kept`, async () => {
      await using rig = new Rig();
      const runs: Run[] = [];
      const peak = await peakOf(async () => runs.push(await read(rig)));
      const [run] = runs;
      const said = (run?.stderr ?? '').split('\n').find((line) => line.startsWith('error')) ?? '';
      deepEqual(
        {
          status: run?.status,
          said: said.includes(TOO_FAR.slice('error[ST203]: '.length)) ? '' : run?.stderr,
          left: unfinished(rig),
          large: sizeOf(rig) > 2 ** 22,
          peak: peak > MAX_MIB ? peak : 'small',
        },
        { status: 3, said: '', left: [], large: false, peak: 'small' },
      );
      note(`bombs, ${importer}: 36 kB for 1 GiB, ${said.slice(0, 80)}, peak ${peak} MiB`);
    });
});
