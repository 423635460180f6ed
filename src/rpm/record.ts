/** A package as the metadata of a repository describes it. Dependencies are text (`dependency.ts`), read when first needed. */
export interface RpmRecord {
  readonly name: string;
  readonly epoch: number;
  readonly version: string;
  readonly release: string;
  readonly arch: string;
  /** SHA-256 of the package file, hexadecimal. */
  readonly sha256: string;
  readonly size: number;
  /** Path of the file below the repository's address. */
  readonly location: string;
  /** Seconds since the epoch. */
  readonly builtAt: number;
  readonly provides: readonly string[];
  readonly requires: readonly string[];
  readonly conflicts: readonly string[];
  readonly obsoletes: readonly string[];
  readonly recommends: readonly string[];
  readonly supplements: readonly string[];
  readonly suggests: readonly string[];
  readonly enhances: readonly string[];
  /** Paths that the primary metadata lists: programs and configuration. */
  readonly files: readonly string[];
}

/** The lists of a record that hold dependencies, by their element in rpm-md. */
export const DEPENDENCY_LISTS = [
  'provides',
  'requires',
  'conflicts',
  'obsoletes',
  'recommends',
  'supplements',
  'suggests',
  'enhances',
] as const;

/** One of the lists of a record that hold dependencies. */
export type DependencyList = (typeof DEPENDENCY_LISTS)[number];

/** `name-[epoch:]version-release.arch`, the way rpm names a package. */
export function nevra(
  record: Pick<RpmRecord, 'name' | 'epoch' | 'version' | 'release' | 'arch'>,
): string {
  return `${record.name}-${versionOf(record)}.${record.arch}`;
}

/** `[epoch:]version-release` of a record. */
export function versionOf(record: Pick<RpmRecord, 'epoch' | 'version' | 'release'>): string {
  return `${record.epoch === 0 ? '' : `${record.epoch}:`}${record.version}-${record.release}`;
}
