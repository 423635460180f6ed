import { type ContextFacts, type ContextFile, type Model, modelOf } from '../advice/index.ts';
import { ok, type Result } from '../base/index.ts';
import { type BuildRequest, readDockerfile, readIgnoreText } from '../build/index.ts';
import type { FileTree } from '../cachekey/index.ts';
import { parseDockerfile, parseInstructions, readIgnoreFile } from '../dockerfile/index.ts';

/** A Dockerfile and the context it is built in, as advice is given on it. */
export interface Project {
  readonly model: Model;
  /** Absent where there is no directory. */
  readonly facts?: ContextFacts;
  /** The text of the ignore file. */
  readonly ignoreText?: string;
}

/** Reads Dockerfile, ignore file and the list of the files that a build may use. */
export async function readProject(
  request: BuildRequest,
  signal: AbortSignal,
): Promise<Result<Project>> {
  const report = { signal, emit: () => undefined, clock: { now: () => 0 } };
  const file = await readDockerfile(request.dockerfile, report);
  if (!file.ok) return file;
  const parsed = parseDockerfile(file.value);
  if (!parsed.ok) return parsed;
  const instructions = parseInstructions(parsed.value);
  if (!instructions.ok) return instructions;
  const model = modelOf(parsed.value, instructions.value, request.target);
  if (request.contextKind !== 'directory') return ok({ model });
  const ignored = await readIgnoreText(request.dockerfile, request.context, report);
  if (!ignored.ok) return ignored;
  const patterns = readIgnoreFile(ignored.value ?? '');
  const tree = await request.context.tree({
    ...{ excludes: patterns.ok ? patterns.value : [], includes: [], follow: [], signal },
  });
  if (!tree.ok) return tree;
  const facts = { files: filesIn(tree.value), hasIgnoreFile: ignored.value !== undefined };
  return ok({
    model,
    facts,
    ...(ignored.value === undefined ? {} : { ignoreText: ignored.value }),
  });
}

function filesIn(tree: FileTree): readonly ContextFile[] {
  const files: ContextFile[] = [];
  const visit = (dir: string): void => {
    for (const name of tree.list(dir === '' ? '/' : dir)) {
      const path = `${dir}/${name}`;
      const entry = tree.lstat(path);
      if (entry?.type === 'dir') visit(path);
      else if (entry !== undefined)
        files.push({ path: path.slice(1), bytes: entry.size, mode: entry.mode });
    }
  };
  visit('');
  return files;
}
