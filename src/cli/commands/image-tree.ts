import { FailureError, failure } from '../../base/index.ts';
import { inspectImage, type StoredImage } from '../../image/index.ts';
import { positive } from '../flags/limits.ts';
import { readImageFiles } from '../image-files.ts';
import { fail, type Io, neutraliseLines, printJson } from '../io.ts';
import { layerTreeText, type MarkedFile, markLayers } from '../layer-tree-text.ts';
import { formatBytes } from '../progress/text.ts';
import { openStore, type Store } from '../store.ts';

type Options = Readonly<Record<string, unknown>>;

/** Levels of directories shown unless told otherwise. */
const DEPTH = 2;

/** `varve image layers --tree`: what each layer adds, writes again and removes, as a tree of directories. */
export async function imageTree(io: Io, name: string, options: Options): Promise<number> {
  const number = (flag: 'depth' | 'layer'): ReturnType<typeof positive> =>
    positive(`--${flag}`, typeof options[flag] === 'string' ? options[flag] : undefined);
  const [depth, only] = [number('depth'), number('layer')];
  if (!depth.ok) return fail(io, depth.error);
  if (!only.ok) return fail(io, only.error);
  const path = typeof options['path'] === 'string' ? options['path'] : '';
  const opened = openStore(io);
  if (!opened.ok) return fail(io, opened.error);
  using store = opened.value;
  try {
    const image = await findImage(io, store, name);
    const { layers, lost, wasted } = await readImageFiles(store, image, io);
    const made = image.config.history.filter((h) => h.empty_layer !== true);
    const shown = { path: path.replaceAll(/^\/+|\/+$/g, ''), depth: depth.value ?? DEPTH };
    for (const [i, files] of markLayers(layers, lost).entries()) {
      if (only.value !== undefined && only.value !== i + 1) continue;
      if (options['json'] === true) {
        printJson(io, {
          ...{ layer: i + 1, createdBy: made[i]?.created_by ?? '', wasted: wasted[i] ?? 0 },
          files: files.map(({ file, mark, isLost }) => ({
            ...{ path: file.path, type: file.type, size: file.size, mark, wasted: isLost },
          })),
        });
        continue;
      }
      const head = `layer ${i + 1}: ${sizes(files, wasted[i] ?? 0)}  ${made[i]?.created_by ?? ''}`;
      io.out(neutraliseLines(`${head}\n${layerTreeText(files, shown)}\n`));
    }
    if (options['json'] === true) return 0;
    const [bytes, lostBytes] = [
      sum(layers.flat().map(({ type, size }) => (type === 'file' ? size : 0))),
      sum(wasted),
    ];
    const useful = bytes === 0 ? 100 : Math.round((100 * (bytes - lostBytes)) / bytes);
    io.out(
      `${layers.length} layers, ${formatBytes(bytes)}: ${formatBytes(lostBytes)} written again or removed later, ${useful} % of use\n`,
    );
    return 0;
  } catch (e) {
    if (e instanceof FailureError) return fail(io, e.failure);
    throw e;
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

function sizes(files: readonly MarkedFile[], wasted: number): string {
  const bytes = sum(files.map(({ file }) => (file.type === 'file' ? file.size : 0)));
  return `${formatBytes(bytes)}${wasted === 0 ? '' : ` (${formatBytes(wasted)} wasted)`}`;
}

async function findImage(io: Io, store: Store, name: string): Promise<StoredImage> {
  const deps = { content: store.content, images: store.db.images, clock: io.clock };
  const found = await inspectImage(deps, name);
  if (!found.ok) throw new FailureError(found.error);
  const [image] = found.value.platforms;
  if (image === undefined)
    throw new FailureError(failure('ST031', 2, `${name} has no platform that is here`));
  return image;
}
