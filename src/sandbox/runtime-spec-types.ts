/*
 * The parts of the OCI runtime specification's `config.json` that are written here (runtime-spec 1.0.2, config.md and
 * config-linux.md).
 */

/** `config.json`. */
export interface RuntimeSpec {
  readonly ociVersion: '1.0.2';
  readonly process: RuntimeProcess;
  readonly root: { readonly path: string; readonly readonly: boolean };
  readonly hostname: string;
  readonly mounts: readonly RuntimeMount[];
  readonly linux: RuntimeLinux;
}

export interface RuntimeProcess {
  readonly terminal: false;
  readonly user: {
    readonly uid: number;
    readonly gid: number;
    readonly umask: number;
    readonly additionalGids: readonly number[];
  };
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly capabilities: {
    readonly bounding: readonly string[];
    readonly effective: readonly string[];
    readonly permitted: readonly string[];
  };
  readonly rlimits: readonly {
    readonly type: string;
    readonly soft: bigint;
    readonly hard: bigint;
  }[];
  readonly noNewPrivileges: boolean;
}

export interface RuntimeMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

export interface RuntimeLinux {
  readonly namespaces: readonly { readonly type: string }[];
  readonly cgroupsPath?: string;
  readonly resources: RuntimeResources;
  readonly devices: readonly RuntimeDevice[];
  readonly maskedPaths: readonly string[];
  readonly readonlyPaths: readonly string[];
  readonly seccomp?: SeccompProfile;
}

export interface RuntimeDevice {
  readonly path: string;
  readonly type: 'c' | 'b';
  readonly major: number;
  readonly minor: number;
  readonly fileMode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface RuntimeResources {
  readonly devices?: readonly { readonly allow: boolean; readonly access: string }[];
  readonly memory?: { readonly limit: number; readonly swap?: number };
  readonly cpu?: { readonly quota?: number; readonly period?: number; readonly cpus?: string };
  readonly pids?: { readonly limit: number };
}

/** `linux.seccomp`. */
export interface SeccompProfile {
  readonly defaultAction: 'SCMP_ACT_ERRNO';
  readonly defaultErrnoRet: number;
  readonly architectures: readonly string[];
  readonly syscalls: readonly SeccompRule[];
}

export interface SeccompRule {
  readonly names: readonly string[];
  readonly action: 'SCMP_ACT_ALLOW' | 'SCMP_ACT_ERRNO';
  readonly errnoRet?: number;
  readonly args?: readonly SeccompArg[];
}

export interface SeccompArg {
  readonly index: number;
  readonly value: number;
  readonly valueTwo?: number;
  readonly op: 'SCMP_CMP_EQ' | 'SCMP_CMP_LT' | 'SCMP_CMP_GT' | 'SCMP_CMP_MASKED_EQ';
}
