import {
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { err, failure, type GoJson, goJson, isErrno, ok, type Result } from '../base/index.ts';
import type { Sandbox, SandboxExit, SandboxSpec } from '../ports/index.ts';
import { containerOf, removeAbandonedRuns, SECRETS } from './abandoned-runs.ts';
import { openAgentSockets } from './agent-sockets.ts';
import { BuildGroups, groupPath } from './build-groups.ts';
import { limitsSwap, processesIn, removeCgroup, wasOutOfMemory } from './cgroup.ts';
import { chooseRuntime } from './choose-runtime.ts';
import { insecureDevices, type Machine, readMachine } from './machine.ts';
import { type MountPoint, makeMountStubs, makeStandardDirectories } from './mount-stubs.ts';
import { hostsFile } from './network-files.ts';
import { claimRun } from './run-owner.ts';
import {
  deleteContainer,
  type RunningContainer,
  type RuntimeContainer,
  type RuntimeExit,
  runtimeErrors,
  startContainer,
} from './run-runtime.ts';
import { type RunFacts, runtimeSpec } from './runtime-spec.ts';
import type { RuntimeSpec } from './runtime-spec-types.ts';
import { refuseLimits, runtimeMissing, startFailure } from './sandbox-failures.ts';
import { writeSecretFiles } from './secret-files.ts';

/** How to make a sandbox. */
export interface SandboxOptions {
  /** Directory of this machine for bundles and the runtime's state; one directory a run is made below it, and removed. */
  readonly stateDir: string;
  /** OCI runtime: a program name or path. */
  readonly runtime?: string;
  /** The machine's resolver configuration, copied for each step. */
  readonly resolvConf?: string;
}

/** How a run was ended from here; `running` while it is not. */
type Ending = 'running' | 'aborted' | 'timed-out';

/** Signals by number, for exit codes above 128. */
const SIGNALS = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

/** As `SandboxOptions`, with the runtime that is used, and whether its container is kept until this process removes it. */
type WithRuntime = SandboxOptions & { readonly runtime: string; readonly keep?: boolean };

/**
 * Steps as containers of an OCI runtime. The network `default` is the machine's own, as BuildKit's without CNI
 * (docs/adr/0006); `none` has only a loopback interface.
 */
export function createSandbox(options: SandboxOptions): Sandbox {
  let machine: Machine | undefined;
  let tidied: Promise<void> | undefined;
  let chosen: Promise<string> | undefined;
  const groups = new BuildGroups();
  return {
    run: async (spec, io) => {
      io.signal.throwIfAborted();
      machine ??= readMachine();
      tidied ??= removeAbandonedRuns(options.stateDir);
      await tidied;
      const refused =
        refuseLimits(spec.limits ?? {}, machine) ?? refuseLimits(spec.group?.limits ?? {}, machine);
      if (refused !== undefined) return err(refused);
      chosen ??= runtimeOf(options, machine);
      const runtime = await chosen;
      using _group = groups.hold(machine.cgroups, groupPath(spec), spec.group);
      return await new Run({ ...options, runtime }, machine, spec).execute(io);
    },
  };
}

async function runtimeOf(options: SandboxOptions, machine: Machine): Promise<string> {
  if (options.runtime !== undefined) return options.runtime;
  // A trial ends by itself.
  const io = { signal: new AbortController().signal, output: () => undefined };
  return await chooseRuntime({
    ...{ stateDir: options.stateDir, cgroups: machine.cgroups.version, boot: machine.boot },
    // A step with a limit needs it kept, which not every version can.
    run: async (runtime, spec) =>
      await new Run({ ...options, runtime, keep: true }, machine, spec).execute(io),
  });
}

/** One run: what it makes on disk and how it takes that away again. */
class Run {
  readonly #spec: SandboxSpec;
  readonly #machine: Machine;
  readonly #resolvConf: string;
  readonly #container: RuntimeContainer;
  readonly #cgroupsPath: string;
  readonly #stateDir: string;
  readonly #keep: boolean;

  constructor(options: WithRuntime, machine: Machine, spec: SandboxSpec) {
    this.#spec = spec;
    this.#stateDir = options.stateDir;
    const { limits, group } = spec;
    this.#keep =
      options.keep === true || (limits?.memoryBytes ?? group?.limits.memoryBytes) !== undefined;
    this.#machine = machine;
    this.#resolvConf = options.resolvConf ?? '/etc/resolv.conf';
    this.#cgroupsPath = groupPath(spec);
    this.#container = containerOf(options.stateDir, {
      ...{ id: spec.id, program: options.runtime },
      isHidden: spec.secretEnv === true,
    });
  }

  async execute(io: Parameters<Sandbox['run']>[1]): Promise<Result<SandboxExit>> {
    const { bundle } = this.#container;
    mkdirSync(this.#stateDir, { recursive: true, mode: 0o700 });
    using _owner = claimRun(this.#stateDir, {
      id: this.#spec.id,
      ...{ cgroupsPath: this.#cgroupsPath, program: this.#container.program },
    });
    mkdirSync(bundle, { mode: 0o711 });
    try {
      using secrets = writeSecretFiles(join(bundle, SECRETS), this.#spec);
      mkdirSync(this.#container.root, { recursive: true, mode: 0o700 });
      await using sockets = await openAgentSockets(join(bundle, 'sockets'), this.#spec.mounts);
      this.#writeBundle({ secretFiles: secrets.files, socketFiles: sockets.files });
      makeStandardDirectories(this.#spec.rootfs);
      const stubs = makeMountStubs(this.#spec.rootfs, mountPoints(this.#spec));
      try {
        return await this.#run(io);
      } finally {
        stubs.remove({ recursive: this.#spec.removeMountStubs });
      }
    } finally {
      rmSync(bundle, { recursive: true, force: true });
    }
  }

  #writeBundle(made: Pick<RunFacts, 'secretFiles' | 'socketFiles'>): void {
    const { bundle } = this.#container;
    const files = { hostsFile: join(bundle, 'hosts'), resolvFile: join(bundle, 'resolv.conf') };
    writeFileSync(files.hostsFile, hostsFile(this.#spec), { mode: 0o644 });
    writeFileSync(files.resolvFile, readOrEmpty(this.#resolvConf), { mode: 0o644 });
    const config = runtimeSpec(this.#spec, {
      architecture: this.#machine.architecture,
      grantable: this.#machine.grantable,
      devices: this.#spec.security === 'insecure' ? insecureDevices() : [],
      cgroupsPath: this.#cgroupsPath,
      openFiles: this.#machine.openFiles,
      limitsSwap: limitsSwap(this.#machine.cgroups),
      rootless: this.#machine.rootless,
      ...made,
      ...files,
    });
    const path = join(bundle, 'config.json');
    const inMemory = this.#spec.secretEnv === true;
    if (inMemory) symlinkSync(join(SECRETS, 'config.json'), path);
    const at = inMemory ? join(bundle, SECRETS, 'config.json') : path;
    writeFileSync(at, configText(config), { mode: 0o600 });
  }

  async #run(io: Parameters<Sandbox['run']>[1]): Promise<Result<SandboxExit>> {
    const keep = this.#keep;
    const running = startContainer(this.#container, { keep, output: io.output });
    const { ending, exit } = await this.#wait(running, io.signal);
    const outOfMemory = keep && wasOutOfMemory(this.#machine.cgroups, this.#cgroupsPath);
    await this.#cleanUp();
    if (ending === 'aborted') io.signal.throwIfAborted();
    if (ending === 'timed-out')
      return ok({ code: 137, signal: 'SIGKILL', timedOut: true, outOfMemory });
    return this.#outcome(exit, outOfMemory);
  }

  async #wait(
    running: RunningContainer,
    signal: AbortSignal,
  ): Promise<{ readonly ending: Ending; readonly exit: RuntimeExit }> {
    const state: { ending: Ending } = { ending: 'running' };
    const killed: Promise<void>[] = [];
    const end = (ending: Ending): void => {
      if (state.ending !== 'running') return;
      state.ending = ending;
      killed.push(running.kill());
    };
    const onAbort = (): void => end('aborted');
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    const { timeoutMs } = this.#spec.limits ?? {};
    const timer =
      timeoutMs === undefined ? undefined : setTimeout(() => end('timed-out'), timeoutMs);
    try {
      const exit = await running.exit;
      await Promise.all(killed);
      return { ending: state.ending, exit };
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** The runtime removes what it made when a container ends by itself; this sees to the other cases. */
  async #cleanUp(): Promise<void> {
    const { cgroups } = this.#machine;
    if (
      existsSync(join(this.#container.root, this.#container.id)) ||
      processesIn(cgroups, this.#cgroupsPath).length > 0
    )
      await deleteContainer(this.#container);
    removeCgroup(cgroups, this.#cgroupsPath);
  }

  #outcome(exit: RuntimeExit, outOfMemory: boolean): Result<SandboxExit> {
    const { program, logFile } = this.#container;
    switch (exit.at) {
      case 'missing':
        return err(runtimeMissing(program, exit.error));
      case 'killed':
        return err(
          failure('SB003', 3, `${program} was ended by ${exit.signal} while it ran a step`),
        );
      case 'exited': {
        const [message] = exit.code === 0 ? [] : runtimeErrors(logFile);
        if (message !== undefined) return err(startFailure(this.#spec, program, message));
        const name = exit.code > 128 ? SIGNALS.get(exit.code - 128) : undefined;
        return ok({
          code: exit.code,
          ...(name === undefined ? {} : { signal: name }),
          timedOut: false,
          outOfMemory,
        });
      }
      default:
        return exit satisfies never;
    }
  }
}

/** Where mounts of the step go, outermost first; what lies inside another mount is made there by the runtime. */
function mountPoints(spec: SandboxSpec): MountPoint[] {
  const files = spec.ownNetworkFiles === true ? [] : ['/etc/resolv.conf', '/etc/hosts'];
  const all: MountPoint[] = [
    ...files.map((target): MountPoint => ({ target, type: 'file' })),
    ...spec.mounts.map((mount) => ({ target: join('/', mount.target), type: typeOf(mount) })),
  ];
  const outer = ['/proc', '/sys', '/dev', ...spec.mounts.map((m) => join('/', m.target))];
  return all.filter(({ target }) => !outer.some((dir) => target.startsWith(`${dir}/`)));
}

function typeOf(mount: SandboxSpec['mounts'][number]): 'file' | 'dir' {
  switch (mount.kind) {
    case 'tmpfs':
      return 'dir';
    case 'secret':
    case 'socket':
      return 'file';
    case 'bind':
      return statSync(mount.source, { throwIfNoEntry: false })?.isDirectory() === true
        ? 'dir'
        : 'file';
    default:
      return mount satisfies never;
  }
}

/** `config.json`; limits are 64-bit numbers, which `JSON.stringify` cannot write. */
function configText(config: RuntimeSpec): string {
  // Interfaces have no index signature; all members are JSON values and bigints.
  return goJson(config as unknown as GoJson);
}

function readOrEmpty(path: string): string | Uint8Array {
  try {
    return readFileSync(path);
  } catch (e) {
    if (isErrno(e, 'ENOENT')) return '';
    throw e;
  }
}
