import { byUtf8, type Digest, type GoJson, goJson, sha256 } from '../base/index.ts';
import {
  actionBodyJson,
  actionOwner,
  type ChownOpt,
  type FileAction,
  type FileOp,
} from '../llb/index.ts';
import { type ContentSelector, dedupePaths, hasWildcard } from './selector.ts';

interface FileKeyDep {
  readonly selector?: Digest;
  readonly content?: readonly ContentSelector[];
}

/** The key of a file op (BuildKit solver/llbsolver/ops/file.go, `CacheMap`). */
export function fileOpKey(
  op: FileOp,
  numInputs: number,
): { readonly digest: Digest; readonly deps: readonly FileKeyDep[] } {
  const selectors = Array.from({ length: numInputs }, (): ContentSelector[] => []);
  const targets = new Set<number>();
  const Actions: string[] = [];
  for (const file of op.actions) {
    targets.add(file.input);
    selectOwnerFiles(actionOwner(file), selectors);
    Actions.push(Buffer.from(goJson(keyedAction(file, selectors))).toString('base64'));
  }
  const digest = sha256(
    goJson({ Type: 'buildkit.file.v0', Actions, indexes: writtenIndexes(op.actions) }),
  );
  return {
    digest,
    deps: selectors.map((found, i) => (targets.has(i) || found.length === 0 ? {} : dep(found))),
  };
}

/** Names of users and groups are looked up in files of an input, which then are part of the key. */
function selectOwnerFiles(owner: ChownOpt | undefined, selectors: ContentSelector[][]): void {
  const { user, group } = owner ?? {};
  if (user?.kind === 'byName')
    selectors[user.input]?.push({ path: '/etc/passwd', followLinks: true });
  if (group?.kind === 'byName')
    selectors[group.input]?.push({ path: '/etc/group', followLinks: true });
}

/** The action as it is hashed: a copy from an input keeps only the last name of its source, the rest is in the selector. */
function keyedAction(
  file: FileAction,
  selectors: ContentSelector[][],
): Readonly<Record<string, GoJson | undefined>> {
  const { action } = file;
  if (action.kind !== 'copy') return actionBodyJson(action);
  const { copy } = action;
  const from = file.secondaryInput === -1 ? undefined : selectors[file.secondaryInput];
  if (from === undefined) return actionBodyJson(action);
  from.push({
    path: copy.src,
    ...(copy.followSymlink ? { followLinks: true } : {}),
    ...(copy.allowWildcard && hasWildcard(copy.src) ? { wildcard: true } : {}),
    ...(copy.include_patterns.length > 0 ? { includePatterns: copy.include_patterns } : {}),
    ...(copy.exclude_patterns.length > 0 ? { excludePatterns: copy.exclude_patterns } : {}),
    ...(copy.required_paths.length > 0 ? { requiredPaths: copy.required_paths } : {}),
  });
  return actionBodyJson({ kind: 'copy', copy: { ...copy, src: baseName(copy.src) } });
}

/** Go's `path.Base`. */
function baseName(path: string): string {
  const trimmed = path.replace(/\/+$/, '');
  if (trimmed === '') return path === '' ? '.' : '/';
  return trimmed.slice(trimmed.lastIndexOf('/') + 1);
}

/** The indexes of the actions, or undefined when they are the usual chain on the first input. */
function writtenIndexes(actions: readonly FileAction[]): number[][] | undefined {
  const count = actions.length;
  const usual = actions.every(
    (a, i) =>
      a.input === (i === 0 ? 0 : count + i - 1) &&
      (a.secondaryInput === -1 || a.secondaryInput === 1) &&
      a.output === (i === count - 1 ? 0 : -1),
  );
  if (usual || count === 0) return undefined;
  return actions.map((a) => [a.input, a.secondaryInput, a.output]);
}

function dep(found: readonly ContentSelector[]): FileKeyDep {
  const paths = found.map((s) => s.path).sort((a, b) => byUtf8(b, a));
  return { selector: sha256(paths.join('\0')), content: dedupeSelectors(found) };
}

function dedupeSelectors(found: readonly ContentSelector[]): readonly ContentSelector[] {
  const plain = found.filter((s) => !isFiltered(s));
  const pathsOf = (follow: boolean): readonly string[] =>
    dedupePaths(plain.filter((s) => (s.followLinks ?? false) === follow).map((s) => s.path));
  const all = [
    ...pathsOf(false).map((path): ContentSelector => ({ path })),
    ...pathsOf(true).map((path): ContentSelector => ({ path, followLinks: true })),
    ...found.filter(isFiltered),
  ];
  return all.sort((a, b) => byUtf8(a.path, b.path));
}

const isFiltered = (s: ContentSelector): boolean =>
  s.wildcard === true || s.includePatterns !== undefined || s.excludePatterns !== undefined;
