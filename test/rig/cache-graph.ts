import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseJson } from '../../src/base/index.ts';

/** A record of a cache with its results as chains of layer names. */
export interface RecordText {
  readonly digest: string;
  readonly inputs?: readonly (readonly { readonly link: number; readonly selector?: string }[])[];
  readonly results: readonly (readonly string[])[];
}

interface Config {
  readonly layers?: readonly { readonly blob: string; readonly parent?: number }[];
  readonly records?: readonly (Omit<RecordText, 'results'> & {
    readonly layers?: readonly { readonly layer: number }[];
  })[];
}

interface Layout {
  readonly manifests: readonly { readonly digest: string }[];
}

interface Manifest {
  readonly config: { readonly digest: string; readonly mediaType: string };
  readonly layers: readonly {
    readonly digest: string;
    readonly annotations?: Readonly<Record<string, string>>;
  }[];
}

/** Parses a JSON file; the shape is the caller's knowledge. */
export function readJson<T>(path: string): T {
  const parsed = parseJson(readFileSync(path, 'utf8'));
  if (!parsed.ok) throw new Error(`${path}: ${parsed.error}`);
  return parsed.value as T;
}

/** Reads the cache that a directory holds, without the program's own reader. */
export function readCacheDirectory(dir: string): readonly RecordText[] {
  const blob = (digest: string): string => join(dir, 'blobs', digest.replace(':', '/'));
  const [named] = readJson<Layout>(join(dir, 'index.json')).manifests;
  const manifest = readJson<Manifest>(blob(named?.digest ?? ''));
  const config = readJson<Config>(blob(manifest.config.digest));
  const diffIds = new Map(
    manifest.layers.map((l) => [l.digest, l.annotations?.['containerd.io/uncompressed'] ?? '']),
  );
  const chain = (index: number): string[] => {
    const layer = config.layers?.[index];
    if (layer === undefined) throw new Error(`no layer ${index}`);
    const below = layer.parent === -1 ? [] : chain(layer.parent ?? 0);
    return [...below, diffIds.get(layer.blob) ?? `${layer.blob} is not in the manifest`];
  };
  return (config.records ?? []).map(({ layers = [], ...record }) => ({
    ...record,
    results: layers.map(({ layer }) => chain(layer)),
  }));
}

/** Reads an inline cache; results are numbered layers of the image. */
export function readInlineCache(records: Config['records'] = []): readonly RecordText[] {
  return records.map(({ layers = [], ...record }) => ({
    ...record,
    results: layers.map(({ layer }) => Array.from({ length: layer + 1 }, () => '')),
  }));
}

/** A graph as sorted text; layers that `known` does not hold are told apart by their place only. */
export function graphText(records: readonly RecordText[], known: ReadonlySet<string>): string[] {
  return records
    .map(({ digest, inputs = [], results }) => {
      const links = inputs.map((alternatives) =>
        alternatives
          .map(({ link, selector = '' }) => `${records[link]?.digest ?? '?'} ${selector}`)
          .sort(),
      );
      const chains = results.map((chain) => chain.map((id) => (known.has(id) ? id : '?')));
      return JSON.stringify([digest, links, chains]);
    })
    .sort();
}
