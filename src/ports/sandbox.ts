import type { Result } from '../base/index.ts';

/** One process to run isolated on a root file system. */
export interface SandboxSpec {
  /** Unique name; used for the container id and the cgroup. */
  readonly id: string;
  /** Directory of the merged, writable root. */
  readonly rootfs: string;
  /** Mounts the root read-only for the process. */
  readonly readonlyRootfs?: boolean;
  readonly args: readonly string[];
  readonly env: readonly string[];
  /** There are secrets in the environment: nothing that says it may be written to a disk. */
  readonly secretEnv?: boolean;
  readonly cwd: string;
  readonly user: {
    readonly uid: number;
    readonly gid: number;
    readonly additionalGids: readonly number[];
  };
  readonly hostname: string;
  readonly network: 'default' | 'none' | 'host';
  readonly security: 'sandbox' | 'insecure';
  readonly mounts: readonly SandboxMount[];
  readonly extraHosts: readonly { readonly host: string; readonly ip: string }[];
  readonly ulimits: readonly {
    readonly name: string;
    readonly soft: number;
    readonly hard: number;
  }[];
  readonly cgroupParent?: string;
  readonly shmSizeBytes?: number;
  readonly limits?: SandboxLimits;
  /** The steps that share what they may use. */
  readonly group?: SandboxGroup;
  /**
   * Mount points that did not exist are always removed afterwards when they are empty; this also removes the missing
   * directories that were made above them.
   */
  readonly removeMountStubs: boolean;
  /** The root keeps its own `/etc/hosts` and `/etc/resolv.conf`, which can be replaced then. */
  readonly ownNetworkFiles?: boolean;
}

export interface SandboxLimits {
  readonly memoryBytes?: number;
  /** Memory and swap together; -1: any amount of swap. Without it a memory limit allows no swap. */
  readonly memorySwapBytes?: number;
  readonly cpus?: number;
  /** Processors by number, `0-2,4` (cpuset(7), list format). */
  readonly cpusetCpus?: string;
  readonly pids?: number;
  readonly timeoutMs?: number;
}

/** Steps of one build, which together may not use more than the limits say. */
export interface SandboxGroup {
  /** Unique to the build: a part of a control group's name. */
  readonly id: string;
  readonly limits: Pick<SandboxLimits, 'memoryBytes' | 'cpus' | 'pids'>;
}

/** A mount inside the sandbox, in order. */
export type SandboxMount =
  | {
      readonly kind: 'bind';
      readonly source: string;
      readonly target: string;
      readonly readonly: boolean;
    }
  | { readonly kind: 'tmpfs'; readonly target: string; readonly sizeBytes?: number }
  /** A file that exists only in memory (secrets). */
  | {
      readonly kind: 'secret';
      readonly data: Uint8Array;
      readonly target: string;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  /** A socket forwarded to an agent. */
  | {
      readonly kind: 'socket';
      readonly source: string;
      readonly target: string;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    };

export interface SandboxExit {
  /** Exit code, or 128 + signal. */
  readonly code: number;
  readonly signal?: string;
  readonly timedOut: boolean;
  readonly outOfMemory: boolean;
}

export interface Sandbox {
  /** Runs to the end; output arrives as it is written. Aborting kills the whole process tree and cleans up. */
  run(
    spec: SandboxSpec,
    io: {
      readonly signal: AbortSignal;
      readonly output: (stream: 1 | 2, data: Uint8Array) => void;
    },
  ): Promise<Result<SandboxExit>>;
}
