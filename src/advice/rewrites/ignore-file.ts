import { PatternMatcher, readIgnoreFile } from '../../dockerfile/index.ts';
import { filesOfSources } from '../context-sizes.ts';
import { isContextCopy, localSources, type Model } from '../dockerfile-model.ts';
import type { ContextFacts } from '../finding.ts';
import { resolvePath, workdirs } from '../paths.ts';
import { ignoreCandidates } from '../rules/layers.ts';
import { blocksOf } from './blocks.ts';
import type { Rewriter } from './rewrite.ts';

/** Files that directories bring with them and that seldom become part of a result, besides those that lint names. */
const MORE: readonly (readonly [pattern: string, path: RegExp])[] = [
  ['Dockerfile*', /^[^/]*Dockerfile[^/]*$/i],
  ['*.md', /^[^/]+\.md$/],
];

/** Files that copies of whole directories take along go into the ignore file, one pattern at a time. */
export const ignoreUnused: Rewriter = ({ model, facts, ignoreFile }) => {
  if (ignoreFile === undefined) return [];
  const sources = sourcesOf(model);
  const taken = new Set(filesOfSources(facts, sources).map(({ path }) => path));
  const kept = exceptionsOf(ignoreFile.text ?? '');
  return ignoreCandidates(facts, MORE).flatMap(({ pattern, path, files, bytes, paths }) => {
    const named = [...sources.map(plain), ...kept];
    if (!paths.some((each) => taken.has(each))) return [];
    if (named.some((each) => path.test(each) || path.test(`${each}/`))) return [];
    // The ignore file itself becomes another one: what copies of it hold must not depend on that.
    const text = withLines(ignoreFile.text ?? '', [ignoreFile.name, pattern]);
    const inImage = imagePaths(model, facts, new Set([ignoreFile.name, ...paths]));
    return [
      {
        key: `ignore ${pattern}`,
        kind: 'ignore-file',
        title: `${pattern} in ${ignoreFile.name}: ${files} ${files === 1 ? 'file' : 'files'}, ${bytes} bytes`,
        result: blocksOf(model),
        ignore: text,
        drops: inImage,
        ...(inImage.length === 0 ? {} : { removal: true as const }),
      },
    ];
  });
};

/** Where the copies of stages that the image is made of put these files. */
function imagePaths(
  { stages }: Model,
  facts: ContextFacts,
  paths: ReadonlySet<string>,
): readonly string[] {
  return stages
    .filter(({ inImage }) => inImage)
    .flatMap((stage) => {
      const dirs = workdirs(stage);
      return stage.items.flatMap(({ command }, i) => {
        if (!isContextCopy(command)) return [];
        const dest = resolvePath(dirs[i] ?? '/', command.dest.value);
        return localSources(command).flatMap((source) =>
          filesOfSources(facts, [source])
            .filter(({ path }) => paths.has(path))
            .map(({ path }) => resolvePath(dest, `./${below(path, plain(source))}`)),
        );
      });
    });
}

/** The path of a file below a copied directory. */
const below = (path: string, source: string): string =>
  path.startsWith(`${source}/`) ? path.slice(source.length + 1) : path;

/** What COPY, ADD and bind mounts name of the context. */
function sourcesOf({ stages }: Model): readonly string[] {
  return stages.flatMap(({ items }) =>
    items.flatMap(({ command, mounts }) => [
      ...(isContextCopy(command) ? localSources(command) : []),
      ...mounts
        .filter(({ type, from }) => type === 'bind' && from === '')
        .map(({ source }) => (source === '' ? '.' : source)),
    ]),
  );
}

const plain = (source: string): string => source.replace(/^(?:\.?\/)+/, '').replace(/\/+$/, '');

/** Paths that the ignore file lets in on purpose. */
function exceptionsOf(text: string): readonly string[] {
  const patterns = readIgnoreFile(text);
  return (patterns.ok ? patterns.value : [])
    .filter((pattern) => pattern.startsWith('!'))
    .map((pattern) => plain(pattern.slice(1)));
}

function withLines(text: string, lines: readonly string[]): string {
  const known = new Set(text.split('\n').map((line) => line.trim()));
  const missing = lines.filter((line) => !known.has(line));
  const start = text === '' || text.endsWith('\n') ? text : `${text}\n`;
  return `${start}${missing.map((line) => `${line}\n`).join('')}`;
}

/** The files that are left of a context. */
export function withoutIgnored(facts: ContextFacts, ignoreText: string): ContextFacts {
  const patterns = readIgnoreFile(ignoreText);
  const matcher = patterns.ok ? PatternMatcher.create(patterns.value) : patterns;
  if (!matcher.ok) return facts;
  const files = facts.files.filter(({ path }) => !matcher.value.matchesOrParentMatches(path));
  return { ...facts, files, hasIgnoreFile: true };
}
