import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** A directory on disk: path to type, mode, owner, and size, start of digest and number of names of a file. */
export function listDisk(root: string): Readonly<Record<string, string>> {
  const paths = readdirSync(root, { recursive: true, encoding: 'utf8' }).sort();
  return Object.fromEntries(paths.map((path) => [`/${path}`, describe(join(root, path))]));
}

function describe(path: string): string {
  const stat = lstatSync(path);
  const mode = (stat.mode & 0o7777).toString(8);
  const owner = `${stat.uid}:${stat.gid}`;
  if (stat.isDirectory()) return `dir ${mode} ${owner}`;
  if (stat.isSymbolicLink()) return `link ${owner} -> ${readlinkSync(path)}`;
  if (!stat.isFile()) return `special ${(stat.mode & 0o170000).toString(8)} ${mode} ${owner}`;
  const digest = createHash('sha256').update(readFileSync(path)).digest('hex').slice(0, 16);
  return `file ${mode} ${owner} ${stat.size} ${digest} links ${stat.nlink}`;
}
