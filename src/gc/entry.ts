/** Milliseconds since the epoch, or a number of them. */
type Millis = number;

/** What an entry of the store is. */
export type EntryKind =
  /** An extracted layer of a step or an image. */
  | 'layer'
  /** An extracted layer that is a root file system made of packages. */
  | 'rootfs'
  /** An extracted copy of a context, a checkout or a download. */
  | 'source'
  /** A compressed layer, a manifest or a configuration. */
  | 'blob'
  /** A directory of `RUN --mount=type=cache`. */
  | 'mount'
  | 'package'
  /** An index or a Release file of a package repository. */
  | 'index'
  /** A bare repository with the commits fetched so far. */
  | 'git'
  /** What is remembered of the files of a context directory. */
  | 'context'
  /** The output of one build's steps. */
  | 'log'
  /** A name of an image; its bytes are blobs. */
  | 'image'
  /** A cache record; its bytes are in the database. */
  | 'record'
  /** The database, the names of images, compiled code of the program, locks. */
  | 'store'
  /** What failed verification. */
  | 'quarantine'
  /** Downloads and directories that were not finished. */
  | 'temporary';

/** All kinds, in the order in which they are shown. */
export const ENTRY_KINDS: readonly EntryKind[] = [
  ...(['layer', 'rootfs', 'source', 'blob', 'mount', 'package', 'index', 'git'] as const),
  ...(['context', 'log', 'image', 'record', 'store', 'quarantine', 'temporary'] as const),
];

/** What keeps an entry, whatever the policy says. */
export interface Hold {
  readonly by: 'lease' | 'pin' | 'image' | 'use' | 'store';
  /** In words: `image docker.io/library/app:latest`. */
  readonly text: string;
}

/** What it takes to have an entry again. */
export interface Cost {
  readonly ms: Millis;
  /** Bytes to fetch. */
  readonly bytes: number;
}

/** What an entry is to a layer. */
export interface FormOf {
  readonly layer: string;
  /** The layer can also be had from where it came from. */
  readonly elsewhere: boolean;
  /** The other forms of the layer, by the ids of their entries. */
  readonly twins: readonly string[];
}

/** One thing in the store. */
export interface Entry {
  /** `<kind of resource>:<name>`: `layer:new:…`, `blob:sha256:…`, `mount:…`. */
  readonly id: string;
  readonly kind: EntryKind;
  /** What people call it: a step, an image, a package. */
  readonly label: string;
  /** Disk space of its own. */
  readonly bytes: number;
  /** Disk space of files that also belong to another entry, which is counted there. */
  readonly shared: number;
  readonly createdAt: Millis;
  readonly usedAt: Millis;
  /** How often it saved work. */
  readonly uses: number;
  readonly madeBy: {
    readonly build?: string;
    readonly step?: string;
    /** Where it came from, when it was not made here. */
    readonly from?: string;
  };
  /** In words, who would miss it: images, records, entries above it. */
  readonly usedBy: readonly string[];
  readonly holds: readonly Hold[];
  /** Entries that it is of no use without. */
  readonly parents: readonly string[];
  /** Other forms of the same content: while one is there, losing this one costs `cost` only. */
  readonly twins: readonly string[];
  /** What losing it costs while a twin is there (or when it has none). */
  readonly cost: Cost;
  /** What losing the last of the twins costs. */
  readonly lastCost: Cost;
  /** The layers that this is a form of; several when it is a blob that layers of the same content share. */
  readonly formsOf?: readonly FormOf[];
  /** Where the bytes are. */
  readonly paths: readonly string[];
}
