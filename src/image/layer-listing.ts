import { createHash } from 'node:crypto';
import { decompress, type TarEntry, TarReader } from '../archive/index.ts';
import { FailureError, ok, type Result } from '../base/index.ts';
import type { Descriptor } from '../oci/index.ts';
import type { ContentStore } from '../ports/index.ts';

/** What a layer says of one path (OCI image-spec, layer.md). */
export interface LayerFile {
  /** Relative to the root, without a slash at either end. */
  readonly path: string;
  /** `removed` is a whiteout, `opaque` hides what lower layers have in the directory. */
  readonly type: TarEntry['type'] | 'removed' | 'opaque';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly link?: string;
  /** SHA-256 of a regular file's data, hexadecimal. */
  readonly digest?: string;
  /** The data of a file that was asked for. */
  readonly data?: Uint8Array;
}

/** Files read whole are databases of packages and the like. */
const MAX_FILE = 64 * 1024 * 1024;

const NONE: ReadonlySet<string> = new Set();

const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';

/**
 * Reads what a layer of the store holds, every file hashed, and the data of files with these paths; a blob that is not here or is no
 * layer is a failure.
 */
export async function layerListing(
  content: ContentStore,
  layer: Descriptor,
  { signal, keep = NONE }: { readonly signal: AbortSignal; readonly keep?: ReadonlySet<string> },
): Promise<Result<readonly LayerFile[]>> {
  const files: LayerFile[] = [];
  try {
    const bytes = content.stream(layer.digest, { signal });
    const reader = new TarReader(decompress(bytes, { signal }));
    for (;;) {
      const next = await reader.next();
      if (!next.ok) return next;
      if (next.value === undefined) return ok(files);
      const file = await fileOf(next.value, reader, keep);
      if (file.path !== '') files.push(file);
    }
  } catch (e) {
    if (e instanceof FailureError) return { ok: false, error: e.failure };
    throw e;
  }
}

async function fileOf(
  entry: TarEntry,
  reader: TarReader,
  keep: ReadonlySet<string>,
): Promise<LayerFile> {
  const path = entry.name
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
  const slash = path.lastIndexOf('/');
  const [dir, name] = [path.slice(0, Math.max(slash, 0)), path.slice(slash + 1)];
  const { mode, uid, gid, size, link } = entry;
  const common = { mode, uid, gid, size, ...(link === undefined ? {} : { link }) };
  if (name === OPAQUE) return { ...common, path: dir, type: 'opaque' };
  if (name.startsWith(WHITEOUT)) {
    const hidden = name.slice(WHITEOUT.length);
    return { ...common, path: dir === '' ? hidden : `${dir}/${hidden}`, type: 'removed' };
  }
  if (entry.type !== 'file') return { ...common, path, type: entry.type };
  const hash = createHash('sha256');
  const kept: Uint8Array[] | undefined = keep.has(path) && size <= MAX_FILE ? [] : undefined;
  for await (const chunk of reader.data()) {
    hash.update(chunk);
    // The reader uses its buffer again.
    kept?.push(Uint8Array.from(chunk));
  }
  const file = { ...common, path, type: 'file' as const, digest: hash.digest('hex') };
  return kept === undefined ? file : { ...file, data: Buffer.concat(kept) };
}
