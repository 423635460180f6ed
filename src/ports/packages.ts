import type { Result } from '../base/index.ts';
import type { LockedPackage, TemplateLock } from '../template/index.ts';
import type { TransferProgress } from './registry.ts';

/** Packages of Debian and of rpm by digest, and what is needed of them to make a root file system. */
export interface Packages {
  /**
   * Path of the locked package's file in the store: downloaded when absent (resuming and retrying), and verified (size,
   * SHA-256, for rpm its own signature too) each time it is asked for; an entry that fails is quarantined and fetched again.
   */
  obtain(
    lock: TemplateLock,
    wanted: LockedPackage,
    options: { readonly signal: AbortSignal; readonly progress?: TransferProgress },
  ): Promise<Result<string>>;
  /**
   * Writes a package's files below `root` as dpkg or rpm would into an empty system, without running anything: symbolic links in
   * the way (`/bin`) are followed inside `root` only.
   */
  extract(
    file: string,
    root: string,
    options: { readonly signal: AbortSignal },
  ): Promise<Result<void>>;
  /** Seconds since the epoch at which the package was built (time stamp of a .deb's archive members, build time of an rpm). */
  builtAt(file: string): Promise<Result<number>>;
}
