import { chmodSync, chownSync, closeSync, constants, mkdirSync, openSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { SandboxMount } from '../ports/index.ts';

/** Sockets of one run that lead to agents of the machine. */
export interface AgentSockets extends AsyncDisposable {
  /** Path by index of the mount. */
  readonly files: ReadonlyMap<number, string>;
}

/**
 * Makes a socket of its own for each agent, with the owner and mode the step asked for: the agent's own belongs to
 * whoever runs the build. Connections are passed on until disposed.
 */
export async function openAgentSockets(
  dir: string,
  mounts: readonly SandboxMount[],
): Promise<AgentSockets> {
  const files = new Map<number, string>();
  const servers: Server[] = [];
  const open = new Set<Socket>();
  const sockets: AgentSockets = {
    files,
    [Symbol.asyncDispose]: async () => {
      for (const socket of open) socket.destroy();
      await Promise.all(servers.map(closeServer));
    },
  };
  if (!mounts.some((mount) => mount.kind === 'socket')) return sockets;
  mkdirSync(dir, { mode: 0o711 });
  // The name of a socket is limited to 107 bytes (unix(7)): it is bound below an open directory.
  const fd = openSync(dir, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    for (const [index, mount] of mounts.entries()) {
      if (mount.kind !== 'socket') continue;
      const server = createServer((client) => forward(client, mount.source, open));
      servers.push(server);
      await listen(server, `/proc/self/fd/${fd}/${index}`);
      const path = join(dir, String(index));
      chownSync(path, mount.uid, mount.gid);
      chmodSync(path, mount.mode);
      files.set(index, path);
    }
  } catch (e) {
    await sockets[Symbol.asyncDispose]();
    throw e;
  } finally {
    closeSync(fd);
  }
  return sockets;
}

function forward(client: Socket, agent: string, open: Set<Socket>): void {
  const upstream = connect(agent);
  for (const [from, to] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    open.add(from);
    from.pipe(to);
    // A broken connection is the step's to notice: both ends are closed.
    from.on('error', () => to.destroy());
    from.on('close', () => {
      open.delete(from);
      to.destroy();
    });
  }
}

async function listen(server: Server, path: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  server.once('error', reject);
  server.listen(path, () => resolve(undefined));
  await promise;
}

async function closeServer(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  server.close(() => resolve(undefined));
  await promise;
}
