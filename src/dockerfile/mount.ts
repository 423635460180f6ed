import type { Result } from '../base/index.ts';
import type { Device } from './command.ts';

export type MountType = 'bind' | 'cache' | 'tmpfs' | 'secret' | 'ssh';

/** A parsed `RUN --mount` value (BuildKit `instructions.Mount`). Empty texts mean "not given". */
export interface Mount {
  readonly type: MountType;
  readonly from: string;
  readonly source: string;
  readonly target: string;
  readonly readonly: boolean;
  /** Bytes; 0 = no limit. */
  readonly sizeLimit: number;
  readonly id: string;
  readonly sharing: '' | 'shared' | 'private' | 'locked';
  readonly required: boolean;
  /** Environment variable of a secret. */
  readonly env?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

/** Expands the value of one mount option; an error is the final text. */
export type Expander = (word: string) => Result<string, string>;

export function parseMount(_csv: string, _expand: Expander): Result<Mount, string> {
  throw new Error('not written yet');
}
export function parseDevice(_csv: string): Result<Device, string> {
  throw new Error('not written yet');
}
