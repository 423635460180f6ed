import type { Attestations } from '../attest/index.ts';
import type { Digest } from '../base/index.ts';
import type { RemoteContext } from '../lower/index.ts';
import type { Compression, Platform } from '../oci/index.ts';
import type { ExecSecrets, FoundImage } from '../ops/index.ts';
import type { LocalSource, SandboxGroup, SandboxLimits } from '../ports/index.ts';
import type { ServicePlace } from '../remotes/index.ts';
import type { DockerfileLocation } from './read-dockerfile.ts';
import type { LimitsByName } from './step-limits.ts';

/** What one build is asked to do; nothing in it is read from the process. */
export interface BuildRequest {
  /** For the history: a tag, or the context as given. */
  readonly name: string;
  /** For the history: the branch that is built. */
  readonly branch?: string;
  readonly dockerfile: DockerfileLocation;
  readonly context: LocalSource;
  /** Contexts made of an archive, or fetched, are taken whole. */
  readonly contextKind: 'directory' | 'archive' | 'remote' | 'none';
  /** Of a context that is fetched. */
  readonly remote?: RemoteRequest;
  readonly namedContexts: ReadonlyMap<string, NamedContext>;
  readonly target?: string;
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  /** Empty: that of this machine. */
  readonly platforms: readonly Platform[];
  /** `all`, or names of stages. */
  readonly noCache: 'all' | readonly string[];
  readonly pull: boolean;
  readonly extraHosts: readonly { readonly host: string; readonly ip: string }[];
  readonly network: 'default' | 'none' | 'host';
  readonly entitlements: readonly ('network.host' | 'security.insecure')[];
  readonly ulimits: readonly {
    readonly name: string;
    readonly soft: number;
    readonly hard: number;
  }[];
  readonly shmSize?: number;
  readonly cgroupParent?: string;
  /** Of every step. */
  readonly limits: SandboxLimits;
  /** Of steps whose names match, over those of every step; a later one goes over an earlier one. */
  readonly limitsByName?: readonly LimitsByName[];
  /** Of all steps together. */
  readonly buildLimits?: SandboxGroup['limits'];
  readonly secrets: ExecSecrets;
  /** Normalised references. */
  readonly tags: readonly string[];
  readonly outputs: readonly OutputSpec[];
  readonly cacheFrom: readonly CacheSource[];
  readonly cacheTo: readonly CacheTarget[];
  /** What is attached to the results. */
  readonly attestations?: Attestations;
}

/** Where a cache is kept. */
export type CachePlace =
  /** A normalised reference. */
  | { readonly kind: 'registry'; readonly ref: string }
  /** A directory that is an OCI layout. */
  | {
      readonly kind: 'local';
      readonly dir: string;
      readonly tag: string;
      readonly digest?: Digest;
    }
  /** A scope in a directory that many hosts write. */
  | {
      readonly kind: 'dir';
      readonly dir: string;
      readonly scope: string;
      /** What stays when it is written. */
      readonly rules: { readonly keepMs?: number; readonly keepExports?: number };
    }
  | ServicePlace;

/** What may sign a cache that is read. */
export interface CacheTrust {
  /** Files with public keys; scopes that a key may sign for, absent: all. */
  readonly keys: readonly { readonly file: string; readonly scopes?: readonly string[] }[];
  /** A cache that is refused fails the build. */
  readonly strict: boolean;
}

/** How a cache that is written is signed. */
export interface CacheSign {
  /** File with the private key. */
  readonly keyFile: string;
  readonly validMs: number;
}

/** A `--cache-from`: a place, and whether directories of cache mounts are taken from there too. */
export type CacheSource = CachePlace & {
  readonly mounts?: boolean;
  /** The scope that the place stands for. */
  readonly scope?: string;
  /** Absent: the cache need not be signed. */
  readonly trust?: CacheTrust;
};

/** A `--cache-to`: a place, or the image itself. */
export interface CacheTarget {
  readonly place: CachePlace | { readonly kind: 'inline' };
  /** `min`: results of the final image's own steps; `max`: of every step. */
  readonly mode: 'min' | 'max';
  readonly compression: Compression;
  readonly level?: number;
  /** Compresses again what exists in another form. */
  readonly force: boolean;
  /** A cache that cannot be written is a warning. */
  readonly ignoreError: boolean;
  /** What carries the cache; absent: an image manifest. */
  readonly carrier?: 'index' | 'docker-list';
  /** The scope that the place stands for. */
  readonly scope?: string;
  readonly sign?: CacheSign;
  /** The directories of the build's cache mounts are kept there too. */
  readonly mounts?: boolean;
  /** False: what the steps were made of, to explain misses elsewhere, stays here. */
  readonly decisions?: false;
}

/** A context that is an address or a repository. */
export interface RemoteRequest {
  readonly address: string;
  /** The address without credentials, for messages. */
  readonly shown: string;
  /** Path of the Dockerfile in it. */
  readonly file?: string;
  /** What it turned out to be, once it was fetched. */
  readonly opened?: { readonly context: RemoteContext };
}

/** An image that was put together in this process. */
export interface StackImage {
  readonly image: FoundImage;
  readonly platform: Platform;
}

/** A `--build-context`. */
export type NamedContext =
  | { readonly kind: 'local'; readonly source: LocalSource }
  | { readonly kind: 'image'; readonly ref: string }
  /** An address or a repository. */
  | { readonly kind: 'remote'; readonly address: string }
  /** An OS template file. */
  | { readonly kind: 'template'; readonly file: string }
  /** Images that were put together in this process: one for every platform, or one for each. */
  | { readonly kind: 'stack'; readonly images: readonly StackImage[] }
  | {
      readonly kind: 'oci-layout';
      readonly path: string;
      readonly tag?: string;
      readonly digest?: string;
    };

/** Kinds of results; `file`: one file of the result, whose path the attribute `path` names. */
export type OutputType =
  | 'image'
  | 'registry'
  | 'oci'
  | 'docker'
  | 'tar'
  | 'local'
  | 'file'
  /** The steps are run and kept; nothing is made of the result. */
  | 'cacheonly';

/** An `--output`. */
export interface OutputSpec {
  readonly type: OutputType;
  /** A path, or `-` for standard output; absent for results that stay in the store. */
  readonly dest?: string;
  /** Everything else that was given (`compression`, `name`, `push`, …). */
  readonly attrs: ReadonlyMap<string, string>;
}
