/** A few processes that run commands one after another. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { HostedCommand, HostedEnd } from './command-host.ts';
import { FAULTS, TORTURE } from './fault-plan.ts';

/** After so many commands a host is replaced: what it has open is no command's. */
const COMMANDS = 200;

/** Ends the waits that are left. */
class Over implements Disposable {
  readonly #stop = new AbortController();
  readonly signal = this.#stop.signal;

  [Symbol.dispose](): void {
    this.#stop.abort();
  }
}

/** Hosts, started when they are needed. */
export class Hosts implements AsyncDisposable {
  readonly #free: { readonly child: ChildProcess; left: number }[] = [];
  readonly #all = new Set<ChildProcess>();

  /** Runs a command in a host that is free. */
  async run(command: HostedCommand): Promise<HostedEnd> {
    const host = this.#free.pop() ?? { child: this.#start(), left: COMMANDS };
    using over = new Over();
    const { signal } = over;
    const answered = [
      once(host.child, 'message', { signal }),
      once(host.child, 'exit', { signal }),
    ];
    for (const each of answered) each.catch(() => undefined);
    host.child.send(command);
    const [end] = (await Promise.race(answered)) as [HostedEnd | number | null];
    if (end === null || typeof end === 'number') {
      this.#all.delete(host.child);
      return { status: 70, stdout: '', stderr: `the host ended with ${end}` };
    }
    if (--host.left > 0) this.#free.push(host);
    else await this.#stop(host.child);
    return end;
  }

  #start(): ChildProcess {
    const child = fork(join(import.meta.dirname, 'command-host.ts'), [], {
      execArgv: [`--import=${FAULTS}`, '--disable-warning=ExperimentalWarning'],
      env: { PATH: process.env['PATH'], [TORTURE]: JSON.stringify({ root: '/nowhere', also: [] }) },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#all.add(child);
    return child;
  }

  async #stop(child: ChildProcess): Promise<void> {
    this.#all.delete(child);
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#all].map((child) => this.#stop(child)));
  }
}
