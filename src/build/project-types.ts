import type { Digest, Failure, Result } from '../base/index.ts';
import type { ImageResult } from '../export/index.ts';
import type { HistoryItem, Platform } from '../oci/index.ts';
import type { ImageResolver } from '../ops/index.ts';
import type { LayerChain, LocalSource } from '../ports/index.ts';
import type { Fact, FactChange, LayerSpec, Project } from '../project/index.ts';
import type { BuildEdge } from './build-image.ts';
import type { BuildDeps } from './deps.ts';
import type { BuildRequest, OutputSpec } from './request.ts';

/** What building a project needs besides what every build needs. */
export interface ProjectWorld {
  readonly deps: BuildDeps;
  readonly edge: BuildEdge;
  readonly project: Project;
  /** A request without Dockerfile, arguments and outputs: what all layers have in common. */
  readonly common: BuildRequest;
  /** The project's directory. */
  readonly context: LocalSource;
  /** A path of the project file. */
  readonly resolvePath: (path: string) => string;
  readonly openDirectory: (dir: string) => Result<LocalSource>;
  readonly images: ImageResolver;
  readonly places: LayerPlaces;
  /** Layers that are built at once. */
  readonly jobs: number;
  readonly pushLayers: boolean;
  /** Every layer is built, whatever is found. */
  readonly noCache: boolean;
  /** Every step of a layer that is built is executed, for its time to be measured. */
  readonly freshSteps?: boolean;
  readonly outputs: readonly OutputSpec[];
  /** Who the progress of a layer is shown for. */
  readonly signal: AbortSignal;
}

/** References of a layer's image. */
export interface LayerPlaces {
  /** Where it is looked for, the nearest first. */
  readonly read: (name: string, key: Digest) => readonly string[];
  /** The name under which it is kept when it is built. */
  readonly own: (name: string, key: Digest) => string;
  /** Names are those of a registry. */
  readonly remote: boolean;
}

/** A variable or other part of a configuration that a layer sets. */
export type ConfigDelta = Readonly<Record<string, unknown>>;

/** A layer's key and what it was made of. */
export interface KeyedLayer {
  readonly spec: LayerSpec;
  readonly platform: Platform;
  readonly key: Digest;
  readonly facts: readonly Fact[];
  /** The needs, and what they need, lowest first. */
  readonly below: readonly KeyedLayer[];
  /** What its recipe copies from. */
  readonly uses: readonly KeyedLayer[];
}

/** A layer that is here or can be had. */
export interface MadeLayer {
  /** Its own layers only. */
  readonly chain: LayerChain;
  readonly config: ConfigDelta;
  /** What made them, with times. */
  readonly history: readonly HistoryItem[];
  /** How long it took to build, wherever that was. */
  readonly costMs: number;
}

/** Where a layer came from. */
export type LayerState = 'here' | 'registry' | 'built' | 'failed' | 'skipped';

/** One line of the report. */
export interface LayerReport {
  readonly layer: string;
  readonly platform: string;
  readonly key: Digest;
  readonly ref: string;
  readonly state: LayerState;
  /** Bytes of its compressed layers. */
  readonly bytes: number;
  /** Milliseconds that it took now. */
  readonly ms: number;
  /** Milliseconds of the build that was not needed. */
  readonly savedMs: number;
  readonly pulled: number;
  readonly pushed: number;
  /** When it began to be built, milliseconds after the start of the command. */
  readonly startedMs?: number;
  /** Why it was built, the root first: what differs from the nearest earlier key. */
  readonly cause?: LayerCause;
  readonly failure?: Failure;
}

/** Why a layer has no result under its key. */
export interface LayerCause {
  readonly kind: 'first time' | 'changed' | 'gone' | 'no cache';
  /** The layer whose own inputs changed; this one or one that it needs. */
  readonly layer: string;
  readonly changes: readonly FactChange[];
}

/** What came of an image. */
export interface ImageReport {
  readonly image: string;
  readonly tags: readonly string[];
  readonly result?: ImageResult;
  /** Bytes of layers that its assembly and its push moved. */
  readonly moved: number;
  readonly ms: number;
  readonly overlaps: readonly Overlap[];
  /** Layers whose files are not known here, so that they were not compared. */
  readonly notCompared: readonly string[];
  readonly failure?: Failure;
}

/** A file that two layers have, of which neither needs the other. */
export interface Overlap {
  readonly path: string;
  /** Lowest first; the last one is what the image has. */
  readonly layers: readonly string[];
}

/** What came of a project. */
export interface ProjectReport {
  readonly project: string;
  readonly layers: readonly LayerReport[];
  readonly images: readonly ImageReport[];
  readonly ms: number;
}
