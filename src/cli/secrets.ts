import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { err, failure, isErrno, ok, type Result } from '../base/index.ts';
import type { ExecSecrets } from '../ops/index.ts';
import type { SecretSource, SshSource } from './flags/secrets.ts';
import type { Io } from './io.ts';

/** BuildKit's limit of a secret's size. */
const MAX_SECRET = 500 * 1024;

/** Reads the secrets that were named and finds the agents; the values stay in memory. */
export function openSecrets(
  io: Io,
  secrets: readonly SecretSource[],
  agents: readonly SshSource[],
): Result<ExecSecrets> {
  const values = new Map<string, Uint8Array>();
  for (const source of secrets) {
    const value = readSecret(io, source);
    if (!value.ok) return value;
    if (value.value !== undefined) values.set(source.id, value.value);
  }
  const sockets = new Map<string, string>();
  for (const agent of agents) {
    const socket = agentSocket(io, agent);
    if (!socket.ok) return socket;
    sockets.set(agent.id, socket.value);
  }
  return ok({
    secret: (id) => Promise.resolve(values.get(id)),
    agent: (id) => sockets.get(id),
  });
}

function readSecret(io: Io, source: SecretSource): Result<Uint8Array | undefined> {
  if (source.kind === 'env') {
    const value = io.env[source.name];
    return ok(value === undefined ? undefined : Buffer.from(value));
  }
  const path = resolve(io.cwd, source.path);
  try {
    const value = readFileSync(path);
    if (value.length <= MAX_SECRET) return ok(value);
    return err(
      failure(
        'CL005',
        2,
        `secret "${source.id}": ${source.path} is larger than ${MAX_SECRET} bytes`,
      ),
    );
  } catch (e) {
    if (!isErrno(e, 'ENOENT', 'EACCES', 'EISDIR', 'ENOTDIR')) throw e;
    return err(
      failure('CL005', 2, `secret "${source.id}": ${source.path} cannot be read: ${e.code ?? ''}`, {
        help: 'name a file with src=, or a variable with env=',
      }),
    );
  }
}

function agentSocket(io: Io, agent: SshSource): Result<string> {
  const [path, ...more] = agent.paths;
  const socket = path === undefined ? io.env['SSH_AUTH_SOCK'] : resolve(io.cwd, path);
  if (more.length > 0) return err(failure('CL006', 2, `--ssh ${agent.id}: more than one socket`));
  if (socket !== undefined && socket !== '') return ok(socket);
  return err(
    failure('CL006', 2, `--ssh ${agent.id}: no agent runs (SSH_AUTH_SOCK is not set)`, {
      help: `start ssh-agent, or write --ssh ${agent.id}=SOCKET`,
    }),
  );
}
