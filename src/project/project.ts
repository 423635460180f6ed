import type { SourceFile, Span } from '../base/index.ts';
import type { LayerList } from './lists.ts';

/** How often a layer is expected to change; for the order of layers and for advice, never part of a key. */
export type ChangeClass = 'rarely' | 'sometimes' | 'often';

/** A download that a layer is made from. */
export interface LayerUrl {
  readonly url: string;
  /** `sha256:…` of its bytes. */
  readonly digest: string;
  /** File name under which the recipe finds it. */
  readonly name: string;
  readonly span: Span;
}

/** One step of a layer: a command, files to copy, or variables. */
export type LayerStep =
  | { readonly kind: 'run'; readonly command: string }
  | {
      readonly kind: 'copy';
      readonly from: string;
      readonly to: string;
      readonly chown?: string;
      readonly chmod?: string;
    }
  | { readonly kind: 'env'; readonly env: Readonly<Record<string, string>> };

/** How a layer is made. */
export type Recipe =
  | { readonly kind: 'steps'; readonly steps: readonly LayerStep[] }
  /** Instructions of a stage; without a FROM of its own it stands on the layer's base. */
  | { readonly kind: 'inline'; readonly text: string }
  /** A stage of a file. */
  | { readonly kind: 'dockerfile'; readonly path: string; readonly target?: string }
  /** A root file system from an OS template. */
  | { readonly kind: 'template'; readonly path: string }
  /** A root file system from packages: the text of a template. */
  | { readonly kind: 'packages'; readonly text: string };

/** A named layer: everything that its content may depend on. */
export interface LayerSpec {
  readonly name: string;
  /** Layers that the recipe stands on; an image with the layer has them too. */
  readonly needs: readonly string[];
  /** Layers whose whole tree the recipe finds under their name; they are built only when the recipe runs. */
  readonly uses: readonly string[];
  /** What the lowest layer stands on; `scratch` for nothing. */
  readonly base: string;
  /** Patterns of the files that the recipe sees. */
  readonly files: readonly string[];
  /** Lists, which the recipe sees without comments and blank lines. */
  readonly lists: readonly LayerList[];
  readonly args: Readonly<Record<string, string>>;
  readonly urls: readonly LayerUrl[];
  /** Directories kept between builds (cache mounts of every command). */
  readonly cache: readonly string[];
  readonly recipe: Recipe;
  readonly changes: ChangeClass;
  readonly network: 'default' | 'none' | 'host';
  readonly span: Span;
}

/** Configuration that an image adds to that of its layers. */
export interface ImageConfigSpec {
  readonly env: Readonly<Record<string, string>>;
  readonly entrypoint?: readonly string[];
  readonly cmd?: readonly string[];
  readonly workdir?: string;
  readonly user?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly expose: readonly string[];
  readonly volumes: readonly string[];
}

/** An image put together from layers. */
export interface ImageSpec {
  readonly name: string;
  readonly base: string;
  /** In the order in which they lie, with all that they need. */
  readonly layers: readonly string[];
  readonly tags: readonly string[];
  readonly platforms: readonly string[];
  readonly config: ImageConfigSpec;
  readonly span: Span;
}

/** A Dockerfile build: what `varve build` takes, by name. */
export interface TargetSpec {
  readonly name: string;
  readonly context: string;
  readonly dockerfile?: string;
  readonly dockerfileInline?: string;
  readonly args: Readonly<Record<string, string | null>>;
  /** `target:NAME` stands for the result of another target, `image:NAME` for that of an image of this project. */
  readonly contexts: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly tags: readonly string[];
  readonly target?: string;
  readonly platforms: readonly string[];
  readonly cacheFrom: readonly string[];
  readonly cacheTo: readonly string[];
  readonly output: readonly string[];
  readonly secret: readonly string[];
  readonly ssh: readonly string[];
  readonly noCache: boolean;
  readonly noCacheFilter: readonly string[];
  readonly pull: boolean;
  readonly network?: string;
  readonly shmSize?: string;
  readonly ulimits: readonly string[];
  readonly annotations: readonly string[];
  readonly attest: readonly string[];
  readonly entitlements: readonly string[];
  readonly extraHosts: readonly string[];
}

/** Where the images of layers are kept. */
export interface LayerStoreSpec {
  /** A repository; absent: in the store of this machine only. */
  readonly ref?: string;
  /** Layers that are built are pushed; absent: when images are. */
  readonly push?: boolean;
  /** `auto`, or the name of the scope that is read first and written. */
  readonly scope?: string;
  readonly fallback: readonly string[];
  readonly span: Span;
}

/** A project: layers, images and targets. */
export interface Project {
  readonly file: SourceFile;
  readonly name: string;
  readonly store: LayerStoreSpec;
  /** `--cache-from` of every layer's steps. */
  readonly cacheFrom: readonly string[];
  readonly layers: ReadonlyMap<string, LayerSpec>;
  readonly images: ReadonlyMap<string, ImageSpec>;
  readonly targets: ReadonlyMap<string, TargetSpec>;
  readonly groups: ReadonlyMap<string, readonly string[]>;
}
