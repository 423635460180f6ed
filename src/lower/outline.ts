import type { Outline, OutlineArg, OutlineMount } from '../dockerfile/index.ts';
import type { StageState } from './stage-state.ts';

/** A build argument as it is declared somewhere. */
export interface DeclaredParameter extends OutlineArg {
  /** Other arguments that its default reads. */
  readonly deps: ReadonlySet<string>;
}

/** What one stage takes from outside (BuildKit dockerfile2llb/outline.go). */
export class StageOutline {
  readonly #global: ReadonlyMap<string, DeclaredParameter>;
  readonly #own = new Map<string, DeclaredParameter>();
  readonly used: Set<string>;
  readonly secrets = new Map<string, OutlineMount>();
  readonly ssh = new Map<string, OutlineMount>();

  constructor(global: ReadonlyMap<string, DeclaredParameter>, used: Iterable<string> = []) {
    this.#global = global;
    this.used = new Set(used);
  }

  declare(arg: DeclaredParameter): void {
    this.#own.set(arg.name, arg);
  }

  /** The used arguments that have a declaration, with those that their defaults read. */
  args(): readonly DeclaredParameter[] {
    const seen = new Set<string>();
    const found: DeclaredParameter[] = [];
    const pending = [...this.used];
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      if (seen.has(name)) continue;
      seen.add(name);
      const arg = this.#own.get(name) ?? this.#global.get(name);
      if (arg === undefined) continue;
      found.push(arg);
      pending.push(...arg.deps);
    }
    return found;
  }
}

/** Notes a secret or a socket; the first mount of a name counts. */
export function noteMount(mounts: Map<string, OutlineMount>, mount: OutlineMount): void {
  if (!mounts.has(mount.name)) mounts.set(mount.name, mount);
}

/** What a target and the stages below it take; of one name the nearest declaration counts. */
export function outlineOf(target: StageState): Outline {
  const args = new Map<string, OutlineArg>();
  const secrets = new Map<string, OutlineMount>();
  const ssh = new Map<string, OutlineMount>();
  const visited = new Set<StageState>();
  const pending = [target];
  for (let state = pending.pop(); state !== undefined; state = pending.pop()) {
    if (visited.has(state)) continue;
    visited.add(state);
    for (const { deps: _deps, ...arg } of state.outline.args())
      if (!args.has(arg.name)) args.set(arg.name, arg);
    for (const mount of state.outline.secrets.values()) noteMount(secrets, mount);
    for (const mount of state.outline.ssh.values()) noteMount(ssh, mount);
    pending.push(...[...state.deps.keys()].reverse());
    if (state.base !== undefined) pending.push(state.base);
  }
  return {
    name: '',
    description: '',
    args: [...args.values()],
    secrets: [...secrets.values()],
    ssh: [...ssh.values()],
  };
}
