import { resolve } from 'node:path';
import { awaitAll, type Digest, err, failure, ok, type Result } from '../base/index.ts';
import { internalVertex } from '../build/index.ts';
import { createContentStore, holdingStore } from '../content/index.ts';
import { type ArchiveTarget, type ImageResult, pushImage, writeArchive } from '../export/index.ts';
import {
  attestationsOf,
  fullName,
  type ImageDeps,
  inspectImage,
  loadImages,
  loadLayout,
} from '../image/index.ts';
import { type Platform, parseReference, repositoryOf } from '../oci/index.ts';
import { createBlobFetcher, createImageResolver, createMaterializer } from '../ops/index.ts';
import type { LayerId } from '../ports/index.ts';
import { createBuildDeps } from './build-world.ts';
import type { Io } from './io.ts';
import { createDisplay } from './progress/display.ts';
import { pullAttestations } from './pull-attestations.ts';
import type { Store } from './store.ts';

/** Everything a transfer works with, closed when it ends. */
async function withWorld<T>(
  io: Io,
  store: Store,
  quiet: boolean,
  work: (deps: ReturnType<typeof createBuildDeps> & ImageDeps) => Promise<Result<T>>,
): Promise<Result<T>> {
  await using resources = new AsyncDisposableStack();
  const display = createDisplay(quiet ? 'quiet' : 'auto', io.terminal, () => io.clock.now());
  const deps = createBuildDeps(io, store, resources, display.accept);
  try {
    return await work({
      ...deps,
      fetchBlob: createBlobFetcher(deps),
      materialise: createMaterializer(deps),
    });
  } finally {
    display.end();
  }
}

/** An archive, or a layout directory with its index. */
export type ArchiveSource =
  | { readonly stream: AsyncIterable<Uint8Array> }
  | { readonly layout: string; readonly index: Uint8Array };

/** Enters the images of an archive into the store; returns their names, of one without a name the digest. */
export async function loadArchive(
  io: Io,
  store: Store,
  from: ArchiveSource,
  tag: string | undefined,
): Promise<Result<readonly string[]>> {
  await using lease = store.db.leases.open('load of images');
  const content = holdingStore(store.content, lease);
  const deps = { content, images: store.db.images, clock: io.clock };
  const { signal } = io;
  const loaded =
    'layout' in from
      ? await loadLayout(
          deps,
          { content: createContentStore(from.layout), index: from.index },
          { signal },
        )
      : await loadImages(deps, from.stream, { signal });
  if (!loaded.ok) return loaded;
  const names = loaded.value.flatMap(({ names: own, target }) =>
    own.length === 0 && tag === undefined ? [target.digest] : own,
  );
  if (tag === undefined) return ok(names);
  const [image] = loaded.value;
  if (image === undefined || loaded.value.length !== 1)
    return err(
      failure('EX032', 2, `--tag needs an archive with one image, not ${loaded.value.length}`),
    );
  const name = fullName(tag);
  if (!name.ok) return name;
  deps.images.set({ name: name.value, target: image.target, createdAt: io.clock.now() });
  return ok([...names, name.value]);
}

/** Writes a stored image as an archive. */
export async function saveImage(
  io: Io,
  store: Store,
  name: string,
  options: { readonly format: 'oci' | 'docker'; readonly to: string },
): Promise<Result<void>> {
  const to: ArchiveTarget =
    options.to === '-'
      ? {
          kind: 'stream',
          write: (data) => io.outStream(data, io.signal),
        }
      : { kind: 'file', path: resolve(io.cwd, options.to) };
  return await withWorld(io, store, options.to === '-', async (deps) => {
    const image = await storedResult(deps, name);
    if (!image.ok) return image;
    return await internalVertex({ ...deps }, `saving ${name}`, (step) =>
      writeArchive(
        deps,
        image.value,
        { format: options.format, to },
        { signal: io.signal, emit: deps.emit, vertex: step.op },
      ),
    );
  });
}

/** Pushes a stored image under its name; returns the digest. */
export async function pushStored(
  io: Io,
  store: Store,
  name: string,
  options: { readonly quiet: boolean },
): Promise<Result<Digest>> {
  return await withWorld(io, store, options.quiet, async (deps) => {
    const image = await storedResult(deps, name);
    if (!image.ok) return image;
    return await internalVertex({ ...deps }, `pushing ${name}`, async (step) => {
      const context = { signal: io.signal, emit: deps.emit, vertex: step.op };
      const pushed = await pushImage(deps, image.value, context);
      return pushed.ok ? ok(image.value.target.digest) : pushed;
    });
  });
}

/** Fetches an image with all layers of one platform and names it in the store; returns the digest. */
export async function pullImage(
  io: Io,
  store: Store,
  name: string,
  options: { readonly platform: Platform; readonly quiet: boolean },
): Promise<Result<Digest>> {
  const { signal } = io;
  return await withWorld(io, store, options.quiet, (deps) =>
    internalVertex({ ...deps }, `pulling ${name}`, async (step) => {
      // Opened first: trimming spares what is written or found in place from now on.
      await using lease = deps.leases.open(`pull ${name}`);
      const images = createImageResolver(deps);
      const { platform } = options;
      const found = await images.image(name, { platform, signal, mode: 'registry' });
      if (!found.ok) return found;
      const { layers, diffIds, origin, top } = found.value;
      const done = await awaitAll(
        layers.map(async (blob, i) => {
          lease.add(`blob:${blob.digest}`);
          const layer = { ...layerOf(diffIds[i] ?? blob.digest), blob };
          const from = origin === undefined ? layer : { ...layer, origin };
          return await deps.fetchBlob(from, { signal, emit: deps.emit, vertex: step.op });
        }),
      );
      const failed = done.find((d) => !d.ok);
      if (failed !== undefined) return failed;
      const said = await pullAttestations({ ...deps, lease, signal }, name, {
        top,
        manifest: found.value.manifest.descriptor,
      });
      if (!said.ok) return said;
      const full = fullNameOf(name);
      if (!full.ok) return full;
      deps.images.set({ name: full.value, target: top, createdAt: deps.clock.now() });
      return ok(top.digest);
    }),
  );
}

function fullNameOf(name: string): Result<string> {
  const parsed = parseReference(name);
  if (!parsed.ok) return err(failure('RG005', 2, `${JSON.stringify(name)}: ${parsed.error}`));
  const { tag, digest } = parsed.value;
  const suffix = tag ?? (digest === undefined ? 'latest' : undefined);
  const base = repositoryOf(parsed.value);
  return ok(
    `${base}${suffix === undefined ? '' : `:${suffix}`}${digest === undefined ? '' : `@${digest}`}`,
  );
}

/** A stored image in the form that exporters take. */
async function storedResult(
  deps: ReturnType<typeof createBuildDeps>,
  name: string,
): Promise<Result<ImageResult>> {
  const found = await inspectImage(deps, name);
  if (!found.ok) return found;
  const { row, platforms } = found.value;
  const attestations = await attestationsOf(deps.content, row.target, name);
  if (!attestations.ok) return attestations;
  const parsed = parseReference(row.name);
  const origin = parsed.ok ? { origin: `docker-image://${repositoryOf(parsed.value)}` } : {};
  return ok({
    target: row.target,
    names: [row.name],
    metadata: {},
    attestations: attestations.value,
    images: platforms.map(({ descriptor, manifest, config }) => ({
      manifest: descriptor,
      config: manifest.config,
      platform: config.platform,
      ...(config.created === undefined ? {} : { created: config.created }),
      layers: manifest.layers.map((blob, i) => {
        const diffId = config.diffIds[i] ?? blob.digest;
        return { diffId, blob, layer: { ...layerOf(diffId), blob, ...origin } };
      }),
    })),
  });
}

function layerOf(diffId: Digest): {
  readonly id: LayerId;
  readonly diffId: Digest;
  readonly createdAt: number;
} {
  // A layer from outside is known by its diffID.
  return { id: diffId as string as LayerId, diffId, createdAt: 0 };
}
