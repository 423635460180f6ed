import type { Digest, SourceFile } from '../base/index.ts';
import type { Definition } from '../llb/index.ts';
import type { Descriptor, Platform } from '../oci/index.ts';

/** Which record of a build's making is attached to its results (the parameters of BuildKit's `attest:provenance`). */
export interface ProvenanceOptions {
  /** `min` leaves out values of build arguments and labels, names of secrets, steps and the Dockerfile. */
  readonly mode: 'min' | 'max';
  /** Of the SLSA provenance predicate. */
  readonly version: 'v1' | 'v0.2';
  /** An address that names who built; may be empty. */
  readonly builderId: string;
  /** Name of the file where the result is a directory or a tar. */
  readonly filename: string;
  /** The user's own word that the result is the same each time. */
  readonly reproducible: boolean;
  /** Attached to images only. */
  readonly inlineOnly: boolean;
}

/** Which list of the packages in the result is attached. */
export interface InventoryOptions {
  readonly filename: string;
  readonly inlineOnly: boolean;
}

/** What is attached to the results of a build. */
export interface Attestations {
  readonly provenance?: ProvenanceOptions;
  readonly sbom?: InventoryOptions;
}

/** A secret or an agent that steps asked for; never its value. */
export interface NamedSecret {
  readonly id: string;
  readonly optional: boolean;
}

/** Where the build definition came from, when it was not a directory of this machine. */
export interface ConfigSource {
  /** Without credentials. */
  readonly uri: string;
  /** By algorithm, in hexadecimal digits. */
  readonly digest: Readonly<Record<string, string>>;
}

/** What a provenance is written from: one platform of one build. */
export interface BuildFacts {
  /** Names the build; the platforms of one build share it. */
  readonly invocation: string;
  /** Milliseconds since the Unix epoch. */
  readonly startedAt: number;
  readonly finishedAt: number;
  /** The machine's, not the result's. */
  readonly builderPlatform: Platform;
  /** Frontend options under BuildKit's names (`build-arg:A`, `label:B`, `target`), credentials in addresses left out. */
  readonly args: Readonly<Record<string, string>>;
  /** Names of local directories that were read: `context`, `dockerfile`. */
  readonly locals: readonly string[];
  readonly configSource?: ConfigSource;
  /** Path of the Dockerfile in its directory. */
  readonly configPath: string;
  readonly definition: Definition;
  /** What each source turned out to be (`CacheMap.describes`): a digest or a commit. */
  readonly sources: ReadonlyMap<Digest, string>;
  readonly dockerfile: SourceFile;
  /** Layers of the result as the image names them; absent where the result is no image. */
  readonly layers?: readonly Descriptor[];
}
