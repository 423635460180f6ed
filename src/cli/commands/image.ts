import { createReadStream, readFileSync, statSync } from 'node:fs';
import { arch } from 'node:os';
import { join, resolve } from 'node:path';
import { err, failure, type GoJson, isErrno, ok, type Result } from '../../base/index.ts';
import {
  inspectImage,
  listImages,
  removeImage,
  type StoredImage,
  tagImage,
} from '../../image/index.ts';
import { hostPlatform, type Platform } from '../../oci/index.ts';
import { platform as parsePlatformFlag } from '../flags/values.ts';
import { fail, type Io, printJson, table } from '../io.ts';
import { formatBytes } from '../progress/text.ts';
import { openStore, type Store } from '../store.ts';

type Options = Readonly<Record<string, unknown>>;

/** `varve image ls`. */
export function imageList(io: Io, options: Options): Promise<number> {
  return withStore(io, async (store) => {
    const images = await listImages(depsOf(io, store));
    if (options['json'] === true) for (const image of images) printJson(io, { ...image });
    else
      io.out(
        table([
          ['IMAGE', 'DIGEST', 'CREATED', 'SIZE'],
          ...images.map((i) => [
            i.familiar,
            i.digest.slice(7, 19),
            new Date(i.createdAt).toISOString().slice(0, 16).replace('T', ' '),
            i.size === undefined ? 'incomplete' : formatBytes(i.size),
          ]),
        ]),
      );
    return 0;
  });
}

/** `varve image inspect`: always JSON, since a configuration is. */
export function imageInspect(io: Io, name: string, options: Options): Promise<number> {
  return withImage(io, name, options, (found) => {
    for (const image of found)
      printJson(io, {
        name,
        digest: image.descriptor.digest,
        // Documents of the store are JSON values.
        manifest: image.manifestJson as GoJson,
        config: image.config.json as GoJson,
      });
    return 0;
  });
}

/** `varve image layers`: each layer with its size and the instruction that made it. */
export async function imageLayers(io: Io, name: string, options: Options): Promise<number> {
  if (options['tree'] === true)
    return await (await import('./image-tree.ts')).imageTree(io, name, options);
  return await withImage(io, name, options, (found) => {
    for (const image of found) {
      const made = image.config.history.filter((h) => h.empty_layer !== true);
      const rows = image.manifest.layers.map((layer, i) => ({
        digest: layer.digest,
        diffId: image.config.diffIds[i] ?? '',
        size: layer.size,
        createdBy: made[i]?.created_by ?? '',
      }));
      if (options['json'] === true) for (const row of rows) printJson(io, row);
      else
        io.out(
          table([
            ['LAYER', 'SIZE', 'MADE BY'],
            ...rows.map((r) => [r.digest.slice(7, 19), formatBytes(r.size), r.createdBy]),
          ]),
        );
    }
    return 0;
  });
}

/** `varve image tag`. */
export function imageTag(io: Io, name: string, to: string): Promise<number> {
  return withStore(io, (store) => {
    const tagged = tagImage(depsOf(io, store), name, to);
    return Promise.resolve(tagged.ok ? 0 : fail(io, tagged.error));
  });
}

/** `varve image rm`. */
export function imageRemove(io: Io, names: readonly string[]): Promise<number> {
  return withStore(io, (store) => {
    let exit = 0;
    for (const name of names) {
      const removed = removeImage(depsOf(io, store), name);
      if (!removed.ok) exit = fail(io, removed.error);
    }
    return Promise.resolve(exit);
  });
}

/** `varve image load`. */
export function imageLoad(io: Io, options: Options): Promise<number> {
  return withStore(io, async (store) => {
    const input = String(options['input']);
    const { loadArchive } = await import('../image-transfer.ts');
    const path = resolve(io.cwd, input);
    try {
      const from =
        input === '-'
          ? { stream: io.stdin }
          : statSync(path).isDirectory()
            ? { layout: path, index: readFileSync(join(path, 'index.json')) }
            : { stream: createReadStream(path) };
      const loaded = await loadArchive(io, store, from, textOf(options['tag']));
      if (!loaded.ok) return fail(io, loaded.error);
      for (const name of loaded.value) io.out(`${name}\n`);
      return 0;
    } catch (e) {
      if (!isErrno(e, 'ENOENT', 'EACCES', 'EISDIR')) throw e;
      return fail(io, failure('EX031', 2, `${input} cannot be read: ${e.code ?? ''}`));
    }
  });
}

/** `varve image save`. */
export function imageSave(io: Io, name: string, options: Options): Promise<number> {
  return withStore(io, async (store) => {
    const { saveImage } = await import('../image-transfer.ts');
    const format = options['format'] === 'docker' ? 'docker' : 'oci';
    const saved = await saveImage(io, store, name, { format, to: String(options['output']) });
    return saved.ok ? 0 : fail(io, saved.error);
  });
}

/** `varve image pull`. */
export function imagePull(io: Io, name: string, options: Options): Promise<number> {
  return withStore(io, async (store) => {
    const wanted = wantedPlatform(options);
    if (!wanted.ok) return fail(io, wanted.error);
    const { pullImage } = await import('../image-transfer.ts');
    const quiet = options['quiet'] === true;
    const pulled = await pullImage(io, store, name, {
      platform: wanted.value ?? hostPlatform(arch()),
      quiet,
    });
    if (!pulled.ok) return fail(io, pulled.error);
    io.out(`${pulled.value}\n`);
    return 0;
  });
}

/** `varve image push`. */
export function imagePush(io: Io, name: string, options: Options): Promise<number> {
  return withStore(io, async (store) => {
    const { pushStored } = await import('../image-transfer.ts');
    const pushed = await pushStored(io, store, name, { quiet: options['quiet'] === true });
    if (!pushed.ok) return fail(io, pushed.error);
    io.out(`${pushed.value}\n`);
    return 0;
  });
}

async function withStore(io: Io, action: (store: Store) => Promise<number>): Promise<number> {
  const opened = openStore(io);
  if (!opened.ok) return fail(io, opened.error);
  using store = opened.value;
  return await action(store);
}

function withImage(
  io: Io,
  name: string,
  options: Options,
  action: (images: readonly StoredImage[]) => number,
): Promise<number> {
  return withStore(io, async (store) => {
    const wanted = wantedPlatform(options);
    if (!wanted.ok) return fail(io, wanted.error);
    const found = await inspectImage(depsOf(io, store), name);
    if (!found.ok) return fail(io, found.error);
    const picked = pick(found.value.platforms, wanted.value, name);
    return picked.ok ? action(picked.value) : fail(io, picked.error);
  });
}

function pick(
  images: readonly StoredImage[],
  wanted: Platform | undefined,
  name: string,
): Result<readonly StoredImage[]> {
  if (wanted === undefined) return ok(images);
  const found = images.filter(
    ({ config: { platform: p } }) =>
      p.os === wanted.os &&
      p.architecture === wanted.architecture &&
      (wanted.variant === undefined || p.variant === wanted.variant),
  );
  if (found.length > 0) return ok(found);
  return err(
    failure('ST031', 2, `${name} has no image for ${wanted.os}/${wanted.architecture} here`),
  );
}

function wantedPlatform(options: Options): Result<Platform | undefined> {
  const text = textOf(options['platform']);
  if (text === undefined) return ok(undefined);
  return parsePlatformFlag('--platform', text, hostPlatform(arch()));
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function depsOf(io: Io, store: Store) {
  return { content: store.content, images: store.db.images, clock: io.clock };
}
