import { ok, type Result } from '../../base/index.ts';
import { csvMap, usage } from './csv.ts';

/** Where a secret comes from. */
export type SecretSource =
  | { readonly id: string; readonly kind: 'file'; readonly path: string }
  | { readonly id: string; readonly kind: 'env'; readonly name: string };

/** `id=NAME[,src=FILE|,env=VAR]`; without either the environment variable NAME, else the file NAME. */
export function secretFlag(
  text: string,
  env: Readonly<Record<string, string | undefined>>,
): Result<SecretSource> {
  const map = csvMap('--secret', text, { keys: ['id', 'src', 'source', 'env', 'type'] });
  if (!map.ok) return map;
  const id = map.value.get('id');
  const type = map.value.get('type');
  const path = map.value.get('src') ?? map.value.get('source');
  const name = map.value.get('env') ?? (type === 'env' ? (path ?? id) : undefined);
  if (id === undefined || id === '')
    return usage(
      '--secret',
      text,
      'id is missing',
      'write id=NAME,src=FILE or id=NAME,env=VARIABLE',
    );
  if (type !== undefined && type !== 'file' && type !== 'env')
    return usage('--secret', text, `unknown type "${type}"`, 'known types: file, env');
  if (name !== undefined && type !== 'file') return ok({ id, kind: 'env', name });
  if (path !== undefined) return ok({ id, kind: 'file', path });
  if (type === undefined && env[id] !== undefined) return ok({ id, kind: 'env', name: id });
  return ok({ id, kind: 'file', path: id });
}

/** An SSH agent, or key files, forwarded under an id. */
export interface SshSource {
  readonly id: string;
  /** Agent sockets or key files; empty: the agent of SSH_AUTH_SOCK. */
  readonly paths: readonly string[];
}

/** `default`, or `ID=SOCKET|KEY[,KEY…]`. */
export function sshFlag(text: string): Result<SshSource> {
  const equals = text.indexOf('=');
  if (equals === -1)
    return text === '' ? usage('--ssh', text, 'the id is empty') : ok({ id: text, paths: [] });
  const id = text.slice(0, equals);
  if (id === '') return usage('--ssh', text, 'the id is empty', 'write default or ID=SOCKET');
  return ok({ id, paths: text.slice(equals + 1).split(',') });
}
