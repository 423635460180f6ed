import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseJson } from '../../src/base/index.ts';

const execute = promisify(execFile);

/** What two images are compared by. */
export interface ImageContents {
  /** Path to `type mode uid:gid size-or-link digest`. */
  readonly tree: Readonly<Record<string, string>>;
  /** The part of the configuration that a runtime reads. */
  readonly config: Readonly<Record<string, unknown>>;
}

/** The file tree of an image of an OCI layout directory, as umoci unpacks it. */
export async function readTree(layout: string, tag: string): Promise<ImageContents['tree']> {
  const dir = mkdtempSync(join(tmpdir(), 'varve-image-'));
  try {
    const rootfs = join(dir, 'rootfs');
    await execute('umoci', ['raw', 'unpack', '--image', `${layout}:${tag}`, rootfs]);
    const tree: Record<string, string> = {};
    listTree(rootfs, '', tree);
    return tree;
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

/** The config of an image of an OCI layout directory. */
export function readConfig(layout: string, tag: string): ImageContents['config'] {
  const index = json<OciIndex>(join(layout, 'index.json'));
  const entry =
    index.manifests.find((m) => m.annotations?.['org.opencontainers.image.ref.name'] === tag) ??
    index.manifests[0];
  const blob = (digest: string): string => join(layout, 'blobs', digest.replace(':', '/'));
  const manifest = json<{ readonly config: { readonly digest: string } }>(
    blob(entry?.digest ?? ''),
  );
  return (
    json<{ readonly config?: ImageContents['config'] }>(blob(manifest.config.digest)).config ?? {}
  );
}

function json<T>(path: string): T {
  const parsed = parseJson(readFileSync(path, 'utf8'));
  if (!parsed.ok) throw new Error(`${path}: ${parsed.error}`);
  // Test data written by the tool under test; a wrong shape fails the comparison.
  return parsed.value as T;
}
