import type { CopiedPaths, StageSplit } from '../advice/index.ts';
import { byCodeUnit, err, ok, type Result } from '../base/index.ts';
import type { ImageContent, Removal } from './image-proof.ts';
import type { TreeListing } from './tree-listing.ts';

/** The trees around the install of build tools. */
export interface SplitTrees {
  /** With what of the install is no tool. */
  readonly runtime: TreeListing;
  /** With the whole install. */
  readonly through: TreeListing;
  /** The image. */
  readonly image: TreeListing;
}

/** A Dockerfile with the work in a stage of its own. */
export interface PlannedSplit {
  readonly text: string;
  readonly removal: Removal;
}

/** More copies than this are no Dockerfile that anybody wants to read. */
const MAX_COPIES = 24;

/** Plans what the image has to copy from the stage that does the work; the error says why it cannot be. */
export function planSplit(split: StageSplit, trees: SplitTrees): Result<PlannedSplit, string> {
  const { runtime, through, image } = trees;
  const made = new Set(
    [...image].flatMap(([path, line]) => (through.get(path) === line ? [] : [path])),
  );
  const gone = [...runtime.keys()].find((path) => through.has(path) && !image.has(path));
  if (gone !== undefined) return err(`a step removes ${gone}, which cannot be copied`);
  const copies = copiesOf(made, runtime, image);
  if (copies.length === 0) return err('the steps after the install write nothing');
  if (copies.length > MAX_COPIES)
    return err(`what the steps write lies in ${copies.length} places`);
  const unchanged = [...through].filter(([path, line]) => image.get(path) === line);
  return ok({
    text: split.withCopies(copies),
    removal: {
      removed: new Set(unchanged.map(([path]) => path).filter((path) => !runtime.has(path))),
      becomes: new Map(
        unchanged.flatMap(([path, line]) => {
          const before = runtime.get(path);
          return before === undefined || before === line ? [] : [[path, before] as const];
        }),
      ),
    },
  });
}

/** The fewest copies that take all that was made and nothing else. */
function copiesOf(
  made: ReadonlySet<string>,
  runtime: TreeListing,
  image: TreeListing,
): readonly CopiedPaths[] {
  // Directories that hold something else too.
  const mixed = new Set([...image.keys()].filter((path) => !made.has(path)).flatMap(parentsOf));
  const whole = (path: string): boolean => !runtime.has(path) && !mixed.has(path);
  const roots = new Set(
    [...made]
      .filter((path) => !isDirectory(image, path) || whole(path))
      .map((path) => parentsOf(path).find((parent) => whole(parent) && made.has(parent)) ?? path),
  );
  const files = Map.groupBy(
    [...roots].filter((path) => !isDirectory(image, path)),
    (path) => path.slice(0, path.lastIndexOf('/') + 1),
  );
  return [
    ...[...files].map(([dest, sources]) => ({ sources, dest })),
    ...[...roots]
      .filter((path) => isDirectory(image, path))
      .map((path) => ({ sources: [path], dest: path })),
  ].sort((a, b) => byCodeUnit(a.dest, b.dest));
}

const isDirectory = (tree: TreeListing, path: string): boolean =>
  tree.get(path)?.startsWith('dir ') === true;

/** Directories above a path, the highest first; the root is none. */
function parentsOf(path: string): readonly string[] {
  const parts = path.split('/').slice(1, -1);
  return parts.map((_, i) => `/${parts.slice(0, i + 1).join('/')}`);
}

/** Programs that lost what they need to start with the removal, each with what it is. */
export function brokenPrograms(after: ImageContent, removal: Removal): readonly string[] {
  const name = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
  const lost = new Set([...removal.removed].map(name));
  const left = new Set([...after.tree.keys()].map(name));
  return [...(after.needs ?? [])].flatMap(([path, needs]) =>
    needs
      .filter((need) => lost.has(name(need)) && !left.has(name(need)))
      .map((need) => `${path} needs ${need}`),
  );
}
