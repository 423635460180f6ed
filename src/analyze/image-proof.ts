import { byCodeUnit, isRecord } from '../base/index.ts';
import { diffTrees, type TreeDifference, type TreeListing } from './tree-listing.ts';

/** What an image is compared by. */
export interface ImageContent {
  readonly tree: TreeListing;
  /** The configuration as stored (OCI image-spec, "Image Configuration"). */
  readonly config: unknown;
  /** What programs of the tree need to run, where that was asked for: file to libraries and interpreters. */
  readonly needs?: ReadonlyMap<string, readonly string[]>;
}

/** What the comparison of two images came to. */
export interface ImageComparison {
  readonly equal: boolean;
  /** Differences that speak against the rewrite. */
  readonly differences: readonly TreeDifference[];
  /** Files that the rewrite says it no longer writes, or writes otherwise. */
  readonly dropped: readonly TreeDifference[];
  /** Paths that differ between two builds of the same Dockerfile too. */
  readonly unstable: readonly string[];
  /** Parts of the configuration that differ, as text. */
  readonly config: readonly string[];
  readonly entries: number;
}

/** What is known of the comparison beforehand. */
export interface Allowances {
  /** Paths that may disappear, with what is below them. */
  readonly drops: readonly string[];
  /** Paths that differ between two builds of the original. */
  readonly unstable: ReadonlySet<string>;
  /** Paths that the rewrite takes out on purpose, and others that become what this says. */
  readonly removal?: Removal;
}

/** What a rewrite takes out of an image. */
export interface Removal {
  readonly removed: ReadonlySet<string>;
  readonly becomes: ReadonlyMap<string, string>;
}

/** Compares the images of an original and a rewrite: file trees but for times, and what a runtime reads of the configuration. */
export function compareImages(
  before: ImageContent,
  after: ImageContent,
  { drops, unstable, removal }: Allowances,
): ImageComparison {
  const all = diffTrees(before.tree, after.tree);
  const isUnstable = ({ path }: TreeDifference): boolean => unstable.has(path);
  const isDropped = (each: TreeDifference): boolean =>
    each.after === undefined
      ? removal?.removed.has(each.path) === true ||
        drops.some((root) => isOn(root, each.path, after.tree))
      : removal?.becomes.get(each.path) === each.after;
  const rest = all.filter((each) => !isUnstable(each));
  const differences = rest.filter((each) => !isDropped(each));
  const config = diffConfigs(before.config, after.config);
  return {
    equal: differences.length === 0 && config.length === 0,
    differences,
    dropped: rest.filter(isDropped),
    unstable: all.filter(isUnstable).map(({ path }) => path),
    config,
    entries: after.tree.size,
  };
}

/** Whether a path is at or below a root, or a directory above it that is now empty. */
function isOn(root: string, path: string, left: TreeListing): boolean {
  if (path === root || path.startsWith(`${root}/`)) return true;
  return (
    root.startsWith(`${path}/`) && ![...left.keys()].some((each) => each.startsWith(`${path}/`))
  );
}

/** Parts of a configuration that are about how it was built, not about what it is. */
const BUILD_FACTS = new Set(['created', 'history', 'rootfs', 'moby.buildkit.buildinfo.v1']);

/** Differences of two configurations, as lines of text. */
function diffConfigs(before: unknown, after: unknown): readonly string[] {
  const [a, b] = [flat(before, ''), flat(after, '')];
  const keys = [...new Set([...a.keys(), ...b.keys()])].sort(byCodeUnit);
  return keys.flatMap((key) =>
    a.get(key) === b.get(key)
      ? []
      : [`${key}: ${a.get(key) ?? 'absent'} -> ${b.get(key) ?? 'absent'}`],
  );
}

function flat(value: unknown, path: string): ReadonlyMap<string, string> {
  if (!isRecord(value)) return new Map([[path, text(value, path)]]);
  const entries = Object.entries(value).filter(([key]) => path !== '' || !BUILD_FACTS.has(key));
  return new Map(
    entries.flatMap(([key, each]) => [...flat(each, path === '' ? key : `${path}.${key}`)]),
  );
}

/** Variables are a set by name; every other list has an order. */
function text(value: unknown, path: string): string {
  const list: unknown =
    path === 'config.Env' && Array.isArray(value) ? [...(value as unknown[])].sort() : value;
  return JSON.stringify(list);
}

const SHOWN = 3;

/** The first differences of two images as one line. */
export function differenceText({ differences, config }: ImageComparison): string {
  const paths = differences
    .slice(0, SHOWN)
    .map(({ path, before, after }) => `${path} (${before ?? 'absent'} -> ${after ?? 'absent'})`);
  const more = differences.length > SHOWN ? [`and ${differences.length - SHOWN} more`] : [];
  return `the images differ: ${[...paths, ...more, ...config].join('; ')}`;
}
