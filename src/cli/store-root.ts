import { join } from 'node:path';

/** What says where a store is. */
export interface StoreOwner {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
}

/** Directory of the store: `VARVE_ROOT`, else by user. */
export function storeRoot({ env, uid }: StoreOwner): string {
  const given = env['VARVE_ROOT'];
  if (given !== undefined && given !== '') return given;
  if (uid === 0) return '/var/lib/varve';
  const home = env['XDG_DATA_HOME'];
  if (home !== undefined && home !== '') return join(home, 'varve');
  return join(env['HOME'] ?? '/tmp', '.local/share/varve');
}
