import { basename, dirname, join } from 'node:path';
import type { SandboxGroup, SandboxSpec } from '../ports/index.ts';
import { type CgroupMounts, makeParentGroup, removeParentGroup } from './cgroup.ts';

const PREFIX = 'varve-build-';

/** Where the group of a run is, in every hierarchy: below that of its build when the build is limited. */
export function groupPath(spec: Pick<SandboxSpec, 'id' | 'cgroupParent' | 'group'>): string {
  const build = spec.group === undefined ? '' : `${PREFIX}${spec.group.id}`;
  return join('/', spec.cgroupParent ?? '', build, `varve-${spec.id}`);
}

/** Removes the group of a build whose process was killed, once its last step's is gone. */
export function removeAbandonedParent(mounts: CgroupMounts, path: string): void {
  const parent = dirname(path);
  if (basename(parent).startsWith(PREFIX)) removeParentGroup(mounts, parent);
}

/**
 * The groups of limited builds. One exists while a step of its build runs, and is made anew with the next: steps of one build
 * belong to one process, which counts them.
 */
export class BuildGroups {
  readonly #steps = new Map<string, number>();

  /** Makes the group when it is not there; disposing of the last hold removes it. */
  hold(mounts: CgroupMounts, path: string, group: SandboxGroup | undefined): Disposable {
    if (group === undefined) return { [Symbol.dispose]: () => undefined };
    const parent = dirname(path);
    const before = this.#steps.get(parent) ?? 0;
    if (before === 0) makeParentGroup(mounts, parent, group.limits);
    this.#steps.set(parent, before + 1);
    return { [Symbol.dispose]: () => this.#release(mounts, parent) };
  }

  #release(mounts: CgroupMounts, parent: string): void {
    const left = (this.#steps.get(parent) ?? 1) - 1;
    if (left > 0) {
      this.#steps.set(parent, left);
      return;
    }
    this.#steps.delete(parent);
    removeParentGroup(mounts, parent);
  }
}
