import { join, relative } from 'node:path';
import {
  type ContextFacts,
  type ContextFile,
  type IgnoreFile,
  type Model,
  modelOf,
} from '../advice/index.ts';
import { ok, type Result } from '../base/index.ts';
import {
  type BuildRequest,
  MAX_DOCKERFILE,
  readDockerfile,
  readIgnoreText,
} from '../build/index.ts';
import type { FileTree } from '../cachekey/index.ts';
import { parseDockerfile, parseInstructions, readIgnoreFile } from '../dockerfile/index.ts';

/** A Dockerfile and the context it is built in, as advice is given on it. */
export interface Project {
  readonly model: Model;
  /** Absent where there is no directory. */
  readonly facts?: ContextFacts;
  /** Absent where there is no directory. */
  readonly ignoreFile?: IgnoreFile;
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
  const name = await ignoreName(request, signal);
  if (!name.ok) return name;
  const ignoreFile =
    ignored.value === undefined ? { name: name.value } : { name: name.value, text: ignored.value };
  return ok({ model, facts, ignoreFile });
}

/** The path of the ignore file from the context; a Dockerfile may have one of its own beside it. */
async function ignoreName(
  { dockerfile, context }: BuildRequest,
  signal: AbortSignal,
): Promise<Result<string>> {
  if (dockerfile.kind !== 'file') return ok('.dockerignore');
  const name = `${dockerfile.name}.dockerignore`;
  const own = await dockerfile.dir.readFile(name, { maxBytes: MAX_DOCKERFILE, signal });
  if (!own.ok) return own;
  if (own.value === undefined) return ok('.dockerignore');
  return ok(relative(context.root ?? '', join(dockerfile.dir.root ?? '', name)));
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
