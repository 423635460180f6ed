import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';

/** A server program that says on standard error when it is ready; ended with all it started. */
export class Daemon implements AsyncDisposable {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Starts a program and waits until it says `ready`. */
  static async start(argv: readonly string[], ready: string): Promise<Daemon> {
    const [command = '', ...args] = argv;
    const child = spawn(command, args, { detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', () => reject(new Error(`${command} ended: ${said}`)));
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        said += text;
        if (said.includes(ready)) resolve();
      });
    });
    return new Daemon(child);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { pid } = this.#child;
    const closed = once(this.#child, 'close');
    // The group: git daemon is a child of git.
    if (pid !== undefined) process.kill(-pid, 'SIGTERM');
    await closed;
  }
}

/** A port of loopback that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // A server that listens on a port has such an address.
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}
