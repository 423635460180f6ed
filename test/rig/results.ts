import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { parseJson } from '../../src/base/index.ts';
import { type Rig, type RunOptions, statesOf } from './rig.ts';

/** A directory tree as text: path to content, `-> target` for links, empty text for empty directories only. */
export function readFiles(root: string, at = ''): Record<string, string> {
  const files: Record<string, string> = {};
  const names = readdirSync(join(root, at)).sort();
  if (names.length === 0 && at !== '') files[`${at}/`] = '';
  for (const name of names) {
    const path = at === '' ? name : `${at}/${name}`;
    const stat = lstatSync(join(root, path));
    if (stat.isDirectory()) Object.assign(files, readFiles(root, path));
    else if (stat.isSymbolicLink()) files[path] = `-> ${readlinkSync(join(root, path))}`;
    else files[path] = readFileSync(join(root, path), 'utf8');
  }
  return files;
}

/** Builds twice into a directory: the files of the result, and the steps that the second build executed. */
export async function buildFiles(
  rig: Rig,
  args: readonly string[],
  options: RunOptions = {},
): Promise<{ readonly files: Record<string, string>; readonly again: readonly string[] }> {
  const build = async (dest: string): Promise<readonly string[]> => {
    const run = await rig.varve(
      ['build', '--progress=rawjson', '-o', `type=local,dest=${dest}`, ...args],
      options,
    );
    assert.equal(run.status, 0, run.stderr);
    return executed(run.stderr);
  };
  const [first, second] = [randomUUID(), randomUUID()];
  await build(first);
  const again = await build(second);
  const files = readFiles(join(rig.work, first));
  assert.deepEqual(readFiles(join(rig.work, second)), files);
  return { files, again };
}

/** Names of the steps that were executed, sorted. Sources, which every build asks about, are no steps: FROM and named contexts. */
export function executed(stream: string): readonly string[] {
  return Object.entries(statesOf(stream))
    .filter(([name, state]) => state === 'DONE' && !/^\[context |^\[.*?\] FROM /.test(name))
    .map(([name]) => name)
    .sort();
}

/** The value in a JSON text of which the shape is asserted by its use. */
export function json(text: string): unknown {
  const parsed = parseJson(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

/** What tests read of an image's configuration. */
export interface Image {
  readonly created: string;
  readonly history: readonly { readonly created: string }[];
  readonly config: { readonly Labels: Readonly<Record<string, string>> };
}

/** The configuration of the only image of an OCI layout. */
export function imageOf(layout: string): Image {
  const read = (path: string): unknown => json(readFileSync(join(layout, path), 'utf8'));
  const blob = (digest: string): string => `blobs/${digest.replace(':', '/')}`;
  interface Named {
    readonly digest: string;
  }
  const index = read('index.json') as { readonly manifests: readonly Named[] };
  const manifest = read(blob(index.manifests[0]?.digest ?? '')) as { readonly config: Named };
  return read(blob(manifest.config.digest)) as Image;
}

/** Whether all of these programs are there. */
export function installed(...commands: readonly string[]): boolean {
  try {
    for (const command of commands)
      execFileSync('sh', ['-c', `command -v ${command}`], { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
}
