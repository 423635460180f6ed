/** What a transition has done in its middle. */
import fs from 'node:fs';

/** The first half of what is written; undefined when it is not bytes. */
export function half(data: unknown): Uint8Array | undefined {
  return data instanceof Uint8Array ? data.subarray(0, data.length >> 1) : undefined;
}

/** Of a removal: the files of a directory are gone, its directories are not. False for another transition. */
export function tearRemoval({
  name,
  path,
}: {
  readonly name: string;
  readonly path?: unknown;
}): boolean {
  if (name !== 'rm') return false;
  const dir = String(path);
  if (fs.statSync(dir, { throwIfNoEntry: false })?.isDirectory() === true)
    for (const entry of fs.readdirSync(dir, { withFileTypes: true }))
      if (!entry.isDirectory()) fs.unlinkSync(`${dir}/${entry.name}`);
  return true;
}
