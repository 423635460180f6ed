import { ok } from '../base/index.ts';
import { DISK_STEP, type Op } from '../llb/index.ts';
import type { Clock, OpDriver, Snapshotter, TreeProvider } from '../ports/index.ts';
import { keyOf } from './op-keys.ts';

/** What writing disks needs. */
export interface DiskDeps {
  readonly snapshotter: Snapshotter;
  readonly trees: TreeProvider;
  readonly clock: Clock;
}

/** Whether an op is a disk that this process writes (`DISK_STEP`). */
export const isDiskStep = ({ body }: Op): boolean =>
  body.kind === 'exec' && body.exec.meta.args[0] === DISK_STEP;

/**
 * The driver of disks. What they are made of is known by its key alone: to know a whole root by its content costs as much
 * as to write it.
 */
export function createDiskDriver(deps: DiskDeps): OpDriver {
  return {
    cacheMap: ({ vertex }) => {
      const map = keyOf(vertex.op);
      if (!map.ok) return Promise.resolve(map);
      const inputs = map.value.deps.map((dep) => ({ ...dep, hasContentKey: false }));
      return Promise.resolve(ok({ ...map.value, deps: inputs }));
    },
    contentKey: () => {
      throw new Error('a disk is known by the keys of its inputs');
    },
    run: async (context, inputs) => {
      const { writeDisk } = await import('./disk-write.ts');
      return await writeDisk(deps, context, inputs);
    },
  };
}
