import { isAbsolute, join } from 'node:path';
import { ok, type Result } from '../../base/index.ts';
import type { OutputSpec } from '../../build/index.ts';
import {
  type DiskCompression,
  type DiskFormat,
  type DiskKind,
  diskFile,
  formatStage,
} from '../../disk/index.ts';
import { csvMap, usage } from '../flags/csv.ts';
import { outputFlag } from '../flags/output.ts';
import type { Io } from '../io.ts';

const KINDS: readonly DiskKind[] = ['raw', 'qcow2', 'vhd', 'vmdk', 'iso'];
const COMPRESSIONS: Readonly<Record<string, DiskCompression>> = {
  gz: 'gzip',
  gzip: 'gzip',
  zstd: 'zstd',
  xz: 'xz',
  bz2: 'bzip2',
};

/** What is wanted of one stage. */
export interface StageOutput {
  readonly stage: string;
  readonly output: OutputSpec;
  /** Absent: the root file system. */
  readonly format?: DiskFormat;
}

/** Name of the stage with the root file system as it is on the disk. */
export const ROOT_STAGE = 'configured';

/** Reads one `--output`: `type=raw|qcow2|vhd|vmdk|iso,dest=…[,compression=…]`, or what images and trees have. */
export function diskOutput(io: Io, text: string): Result<StageOutput> {
  const kind = KINDS.find((k) => new RegExp(`(?:^|,)\\s*type=${k}(?:,|$)`, 'i').test(text));
  if (kind === undefined) {
    const output = outputFlag(text, io.cwd);
    return output.ok ? ok({ stage: ROOT_STAGE, output: output.value }) : output;
  }
  const map = csvMap('--output', text, { keys: ['type', 'dest', 'compression'] });
  if (!map.ok) return map;
  const dest = map.value.get('dest');
  if (dest === undefined || dest === '')
    return usage('--output', text, `type=${kind} needs dest`, `write type=${kind},dest=PATH`);
  const asked = map.value.get('compression');
  const compression = asked === undefined ? undefined : COMPRESSIONS[asked];
  if (asked !== undefined && compression === undefined)
    return usage(
      '--output',
      text,
      `unknown compression "${asked}"`,
      `known: ${Object.keys(COMPRESSIONS).join(', ')}`,
    );
  const format = { kind, ...(compression === undefined ? {} : { compression }) };
  return ok({
    stage: formatStage(format),
    format,
    output: {
      type: 'file',
      dest: dest === '-' || isAbsolute(dest) ? dest : join(io.cwd, dest),
      attrs: new Map([['path', `/out/${diskFile(format)}`]]),
    },
  });
}

/** The artifacts of a template that can be made, when nothing else is asked for: nothing is written. */
export function artifactFormats(
  artifacts: readonly { readonly type: string; readonly compression?: string | undefined }[],
): readonly DiskFormat[] {
  return artifacts.flatMap(({ type, compression }) => {
    const kind = KINDS.find((k) => k === type);
    const packed = compression === undefined ? undefined : COMPRESSIONS[compression];
    return kind === undefined
      ? []
      : [{ kind, ...(packed === undefined ? {} : { compression: packed }) }];
  });
}
