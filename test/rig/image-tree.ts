import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseJson } from '../../src/base/index.ts';

/** What two images are compared by: the file tree as umoci unpacks it, and the part of the config that a runtime reads. */
export interface ImageContents {
  /** Path to `type mode uid:gid size-or-link digest`. */
  readonly tree: Readonly<Record<string, string>>;
  readonly config: unknown;
}

/** Reads an image of an OCI layout directory through umoci. */
export function readImage(layout: string, tag: string): ImageContents {
  const dir = mkdtempSync(join(tmpdir(), 'varve-image-'));
  try {
    execFileSync('umoci', ['raw', 'unpack', '--image', `${layout}:${tag}`, join(dir, 'rootfs')], {
      stdio: 'pipe',
    });
    const tree: Record<string, string> = {};
    listTree(join(dir, 'rootfs'), '', tree);
    return { tree, config: readConfig(layout, tag) };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function listTree(root: string, at: string, into: Record<string, string>): void {
  for (const name of readdirSync(join(root, at)).sort()) {
    const path = `${at}/${name}`;
    const stat = lstatSync(join(root, path));
    const mode = (stat.mode & 0o7777).toString(8);
    const owner = `${stat.uid}:${stat.gid}`;
    if (stat.isDirectory()) {
      into[path] = `dir ${mode} ${owner}`;
      listTree(root, path, into);
    } else if (stat.isSymbolicLink())
      into[path] = `link ${owner} -> ${readlinkSync(join(root, path))}`;
    else if (stat.isFile()) {
      const hash = createHash('sha256')
        .update(readFileSync(join(root, path)))
        .digest('hex');
      into[path] = `file ${mode} ${owner} ${stat.size} ${hash.slice(0, 16)} links ${stat.nlink}`;
    } else
      into[path] = `special ${(stat.mode & 0o170000).toString(8)} ${mode} ${owner} ${stat.rdev}`;
  }
}

interface OciIndex {
  readonly manifests: readonly {
    readonly digest: string;
    readonly annotations?: Readonly<Record<string, string>>;
  }[];
}

function readConfig(layout: string, tag: string): unknown {
  const index = json<OciIndex>(join(layout, 'index.json'));
  const entry =
    index.manifests.find((m) => m.annotations?.['org.opencontainers.image.ref.name'] === tag) ??
    index.manifests[0];
  const blob = (digest: string): string => join(layout, 'blobs', digest.replace(':', '/'));
  const manifest = json<{ readonly config: { readonly digest: string } }>(
    blob(entry?.digest ?? ''),
  );
  return json<{ readonly config?: unknown }>(blob(manifest.config.digest)).config ?? {};
}

function json<T>(path: string): T {
  const parsed = parseJson(readFileSync(path, 'utf8'));
  if (!parsed.ok) throw new Error(`${path}: ${parsed.error}`);
  // Test data written by the tool under test; a wrong shape fails the comparison.
  return parsed.value as T;
}
