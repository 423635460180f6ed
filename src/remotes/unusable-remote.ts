import { err, type Failure, type Result } from '../base/index.ts';
import type { CacheRemote } from '../ports/index.ts';

/** A remote of which is known beforehand that it cannot be used: every request gives the reason. */
export function unusableRemote(name: string, why: Failure): CacheRemote {
  const refuse = (): Promise<Result<never>> => Promise.resolve(err(why));
  return {
    name,
    origin: '',
    form: 'config',
    manifest: refuse,
    read: refuse,
    mayHave: () => Promise.resolve(false),
    write: refuse,
    publish: refuse,
    named: (further) => unusableRemote(`${name}.${further}`, why),
  };
}
