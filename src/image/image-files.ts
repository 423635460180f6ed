import { byCodeUnit } from '../base/index.ts';
import type { LayerFile } from './layer-listing.ts';

/** A path of an image, and which layer it comes from. */
export interface ImageFile extends LayerFile {
  /** Index of the layer, lowest first. */
  readonly layer: number;
}

/** The files of an image, and what its layers waste. */
export interface ImageFiles {
  readonly files: ReadonlyMap<string, ImageFile>;
  /** Per layer: bytes of its files that later layers write again or remove. */
  readonly wasted: readonly number[];
  /** Per layer: its paths that later layers write again or remove. */
  readonly lost: readonly ReadonlySet<string>[];
}

/** Lays layers over each other (OCI image-spec, layer.md, "Applying Changesets"). */
export function imageFiles(layers: readonly (readonly LayerFile[])[]): ImageFiles {
  const files = new Map<string, ImageFile>();
  const wasted = layers.map(() => 0);
  const lost = layers.map(() => new Set<string>());
  const drop = (path: string): void => {
    const old = files.get(path);
    if (old === undefined) return;
    if (old.type !== 'dir') lost[old.layer]?.add(path);
    if (old.type === 'file') wasted[old.layer] = (wasted[old.layer] ?? 0) + old.size;
    files.delete(path);
  };
  const dropBelow = (path: string): void => {
    for (const other of [...files.keys()]) if (other.startsWith(`${path}/`)) drop(other);
  };
  for (const [layer, entries] of layers.entries()) {
    // What a layer removes is what lower layers have; its own entries come after, whatever their order in the tar.
    for (const { path, type } of entries) {
      if (type === 'removed') drop(path);
      if (type === 'removed' || type === 'opaque') dropBelow(path);
    }
    for (const entry of entries) {
      if (entry.type === 'removed' || entry.type === 'opaque') continue;
      if (files.get(entry.path)?.type === 'dir' && entry.type !== 'dir') dropBelow(entry.path);
      drop(entry.path);
      files.set(entry.path, { ...entry, layer });
    }
  }
  return { files, wasted, lost };
}

/** One path that differs between two images. */
export interface FileDifference {
  readonly path: string;
  readonly kind: 'added' | 'removed' | 'changed';
  /** What differs of a changed path: content, size, mode, owner, type, link. */
  readonly what: readonly string[];
  /** Bytes more in the second image. */
  readonly bytes: number;
}

/** What differs between the files of two images; times are no difference. */
export function diffImageFiles(
  before: ReadonlyMap<string, LayerFile>,
  after: ReadonlyMap<string, LayerFile>,
): readonly FileDifference[] {
  const paths = [...new Set([...before.keys(), ...after.keys()])].sort(byCodeUnit);
  return paths.flatMap((path): FileDifference[] => {
    const [a, b] = [before.get(path), after.get(path)];
    if (a === undefined) return [{ path, kind: 'added', what: [], bytes: b?.size ?? 0 }];
    if (b === undefined) return [{ path, kind: 'removed', what: [], bytes: -a.size }];
    const what = differences(a, b);
    return what.length === 0 ? [] : [{ path, kind: 'changed', what, bytes: b.size - a.size }];
  });
}

function differences(a: LayerFile, b: LayerFile): readonly string[] {
  if (a.type !== b.type) return [`type ${a.type} -> ${b.type}`];
  return [
    ...(a.digest === b.digest ? [] : ['content']),
    ...(a.mode === b.mode ? [] : [`mode ${octal(a.mode)} -> ${octal(b.mode)}`]),
    ...(a.uid === b.uid && a.gid === b.gid ? [] : [`owner ${a.uid}:${a.gid} -> ${b.uid}:${b.gid}`]),
    ...(a.link === b.link ? [] : [`link ${a.link ?? ''} -> ${b.link ?? ''}`]),
  ];
}

const octal = (mode: number): string => mode.toString(8).padStart(4, '0');

/** Installed Debian packages by name, from the text of `/var/lib/dpkg/status` (dpkg, "deb-status"). */
export function installedPackages(status: string): ReadonlyMap<string, string> {
  const packages = new Map<string, string>();
  for (const stanza of status.split(/\n\n+/)) {
    const field = (name: string): string | undefined =>
      new RegExp(`^${name}: (.*)$`, 'm').exec(stanza)?.[1];
    const name = field('Package');
    const version = field('Version');
    if (name === undefined || version === undefined) continue;
    if (field('Status')?.endsWith(' installed') === true)
      packages.set(`${name}:${field('Architecture') ?? ''}`, version);
  }
  return packages;
}
