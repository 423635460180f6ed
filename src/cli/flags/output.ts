import { isAbsolute, join } from 'node:path';
import { ok, type Result } from '../../base/index.ts';
import type { OutputSpec, OutputType } from '../../build/index.ts';
import { csvMap, usage } from './csv.ts';

const TYPES: readonly OutputType[] = [
  ...(['image', 'registry', 'oci', 'docker', 'tar', 'local'] as const),
  'cacheonly',
];
const NEED_DEST: readonly OutputType[] = ['tar', 'local'];

/** `type=oci,dest=out.tar,…`, a directory, or `-` for a tar on standard output (Docker's `--output`). */
export function outputFlag(text: string, cwd: string): Result<OutputSpec> {
  if (text === '-') return ok({ type: 'tar', dest: '-', attrs: new Map() });
  if (!text.includes('=')) return ok({ type: 'local', dest: join(cwd, text), attrs: new Map() });
  const map = csvMap('--output', text, { bare: 'true' });
  if (!map.ok) return map;
  const attrs = new Map(map.value);
  const name = attrs.get('type');
  const type = TYPES.find((t) => t === name);
  if (type === undefined)
    return usage(
      '--output',
      text,
      name === undefined ? 'type is missing' : `unknown type "${name}"`,
      `known types: ${TYPES.join(', ')}`,
    );
  const dest = attrs.get('dest');
  attrs.delete('type');
  attrs.delete('dest');
  if (dest === undefined && NEED_DEST.includes(type))
    return usage('--output', text, `type=${type} needs dest`, `write type=${type},dest=PATH`);
  if (dest === undefined) return ok({ type, attrs });
  return ok({ type, dest: dest === '-' || isAbsolute(dest) ? dest : join(cwd, dest), attrs });
}
