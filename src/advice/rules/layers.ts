import { filesOfSources } from '../context-sizes.ts';
import { isContextCopy, localSources, type Model, takesAll } from '../dockerfile-model.ts';
import type { AdviceRule, ContextFacts, Finding } from '../finding.ts';
import { resolvePath, touches, workdirs } from '../paths.ts';

/** Rights are changed recursively after the fact. */
export const RECURSIVE_RIGHTS: AdviceRule = {
  id: 'recursive-rights',
  severity: 'warning',
  title: 'chown or chmod of a tree writes all its files into one more layer',
};

/** The context has no or a weak ignore file. */
export const IGNORE_FILE: AdviceRule = {
  id: 'ignore-file',
  severity: 'warning',
  title: 'files that the image does not need are part of the build context',
};

/** `chown -R`, `chmod -R` of what earlier layers hold. */
export function recursiveRights(model: Model): readonly Finding[] {
  return model.stages.flatMap((stage) =>
    stage.items.flatMap((item, i) => {
      const { items } = stage;
      const call = item.calls.find(
        ({ words: [program = '', ...rest] }) =>
          /(?:^|\/)ch(?:own|mod|grp)$/.test(program) &&
          rest.some((word) => /^(?:-[a-zA-Z]*R[a-zA-Z]*|--recursive)$/.test(word)),
      );
      if (call === undefined) return [];
      const paths = call.words.slice(1).filter((word) => /^(?:\/|\.|\$)/.test(word));
      const dirs = workdirs(stage);
      const roots = paths.map((path) => resolvePath(dirs[i] ?? '/', path));
      const copies = items
        .slice(0, i)
        .filter(({ command }, at) =>
          command.kind === 'copy' || command.kind === 'add'
            ? roots.some((root) => touches(root, resolvePath(dirs[at] ?? '/', command.dest.value)))
            : false,
        );
      const made = item.calls.some(({ words: [program = ''] }) =>
        /^(?:mkdir|tar|unzip|git|cp|install|npm|curl|wget)$/.test(program),
      );
      // A tree that the same step made is in its layer anyway.
      if (made && copies.length === 0) return [];
      const option = call.words[0]?.endsWith('chmod') === true ? '--chmod' : '--chown';
      return [
        {
          rule: RECURSIVE_RIGHTS.id,
          severity: copies.length === 0 ? ('info' as const) : RECURSIVE_RIGHTS.severity,
          message: `every file below ${paths.join(' ') || 'the directory'} is written again into this layer`,
          fix:
            copies.length === 0
              ? 'set rights in the step that makes the files'
              : `give the copies above ${option}, and change rights of what steps made before them`,
          span: call.span,
          affected: [item.command.span],
          blame: { kind: 'every' } as const,
        },
      ];
    }),
  );
}

/** Paths that images seldom need: version control, dependencies that are installed, results, editors, secrets. */
const UNWANTED: readonly (readonly [pattern: string, path: RegExp])[] = [
  ['.git', /(?:^|\/)\.git(?:\/|$)/],
  ['**/node_modules', /(?:^|\/)node_modules\//],
  ['**/__pycache__', /(?:^|\/)__pycache__\//],
  ['**/.venv', /(?:^|\/)\.?venv\//],
  ['**/.pytest_cache', /(?:^|\/)\.(?:pytest|mypy|ruff)_cache\//],
  ['**/target', /(?:^|\/)target\/(?:debug|release)\//],
  ['**/.DS_Store', /(?:^|\/)\.DS_Store$/],
  ['**/*.log', /\.log$/],
  ['.env*', /(?:^|\/)\.env(?:\.[a-z]+)?$/],
  ['.idea', /^\.(?:idea|vscode)\//],
];

/** Patterns of an ignore file that would take files out of this context, with what they take. */
export function ignoreCandidates(
  facts: ContextFacts,
  more: typeof UNWANTED = [],
): readonly {
  readonly pattern: string;
  /** What the pattern takes. */
  readonly path: RegExp;
  readonly files: number;
  readonly bytes: number;
  readonly paths: readonly string[];
}[] {
  return [...UNWANTED, ...more].flatMap(([pattern, path]) => {
    const files = facts.files.filter((file) => path.test(file.path));
    if (files.length === 0) return [];
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    const paths = files.map((file) => file.path);
    return [{ pattern, path, files: files.length, bytes, paths }];
  });
}

/** What a copy of the whole context takes although no image needs it, in bytes. */
export function ignoreFile(model: Model, facts: ContextFacts): readonly Finding[] {
  const whole = model.stages
    .flatMap(({ items }) => items.map(({ command }) => command))
    .filter((command) => isContextCopy(command) && takesAll(command));
  const [copy] = whole;
  if (copy === undefined || !isContextCopy(copy)) return [];
  const taken = filesOfSources(facts, localSources(copy));
  const found = ignoreCandidates({ ...facts, files: taken });
  const bytes = found.reduce((sum, each) => sum + each.bytes, 0);
  if (found.length === 0 && facts.hasIgnoreFile) return [];
  const own = facts.hasIgnoreFile
    ? 'the ignore file lets in'
    : 'there is no .dockerignore, and the copy takes';
  const what =
    found.length === 0
      ? `${taken.length} files, the Dockerfile among them where it lies there`
      : found
          .map(({ pattern, files }) => `${pattern} (${files} ${files === 1 ? 'file' : 'files'})`)
          .join(', ');
  return [
    {
      rule: IGNORE_FILE.id,
      severity: found.length === 0 ? 'info' : IGNORE_FILE.severity,
      message: `${own} ${what}`,
      fix: `write into .dockerignore: ${found.length === 0 ? '.git, Dockerfile, .dockerignore' : found.map(({ pattern }) => pattern).join(', ')}`,
      span: copy.span,
      affected: [copy.span],
      blame: { kind: 'files', paths: found.flatMap(({ paths }) => paths) },
      contextBytes: bytes,
    },
  ];
}
