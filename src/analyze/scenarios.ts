import type { ContextFacts, ContextFile, Model } from '../advice/index.ts';
import { filesOfSources, isContextCopy, localSourcesOf, withoutIgnored } from '../advice/index.ts';

/** What changes between two builds. */
export type ScenarioName = 'no change' | 'code' | 'dependency' | 'model' | 'base' | 'ignored';

/** An edit of the context, or of the Dockerfile, that stands for a kind of change. */
export interface Scenario {
  readonly name: ScenarioName;
  /** The file that is edited; absent where none is. */
  readonly file?: string;
}

const MANIFEST =
  /(?:^|\/)(?:requirements[^/]*\.txt|package\.json|package-lock\.json|yarn\.lock|pnpm-lock\.yaml|go\.(?:mod|sum)|Cargo\.(?:toml|lock)|pom\.xml|build\.gradle(?:\.kts)?|Gemfile(?:\.lock)?|composer\.(?:json|lock)|pyproject\.toml|poetry\.lock|uv\.lock|environment\.ya?ml)$/;

const CODE =
  /\.(?:py|js|mjs|cjs|ts|tsx|jsx|go|rs|c|cc|cpp|h|java|kt|rb|php|cs|swift|sh|html|css|ex|erl|scala|pl|lua)$/;

/** Files from here on count as models or other data. */
const LARGE = 128 << 10;

/**
 * The scenarios that a project has: files are chosen among those that the Dockerfile copies. `often` names files that
 * change often, most often first.
 */
export function scenariosOf(
  model: Model,
  facts: ContextFacts,
  often: readonly string[] = [],
): readonly Scenario[] {
  const used = usedFiles(model, facts);
  const code =
    often
      .map((path) => used.find((file) => file.path === path && CODE.test(path)))
      .find((file) => file !== undefined) ??
    used.find(({ path, bytes }) => CODE.test(path) && !path.endsWith('.sh') && bytes < LARGE) ??
    used.find(({ path, bytes }) => CODE.test(path) && bytes < LARGE) ??
    used.find(
      ({ path, bytes }) =>
        !MANIFEST.test(path) && bytes < LARGE && !/Dockerfile|\.dockerignore/.test(path),
    );
  const manifest = used.find(({ path }) => MANIFEST.test(path));
  const large = used.filter(
    ({ path, bytes, mode }) => bytes >= LARGE && !CODE.test(path) && (mode & 0o111) === 0,
  );
  const [largest] = large.sort((a, b) => b.bytes - a.bytes);
  return [
    { name: 'no change' },
    ...(code === undefined ? [] : [{ name: 'code', file: code.path } as const]),
    ...(manifest === undefined ? [] : [{ name: 'dependency', file: manifest.path } as const]),
    ...(largest === undefined ? [] : [{ name: 'model', file: largest.path } as const]),
    { name: 'base' },
  ];
}

/** An edit of a file that the ignore file of a rewrite keeps out of the context. */
export function ignoredScenario(facts: ContextFacts, ignoreText: string): readonly Scenario[] {
  const left = new Set(withoutIgnored(facts, ignoreText).files.map(({ path }) => path));
  const gone = facts.files.filter(({ path }) => !left.has(path));
  // An edit of the Dockerfile or the ignore file is no change of the context alone.
  const file = gone.find(({ path }) => !/Dockerfile|\.dockerignore$/i.test(path));
  return file === undefined ? [] : [{ name: 'ignored', file: file.path }];
}

function usedFiles(model: Model, facts: ContextFacts): ContextFile[] {
  const sources = model.stages.flatMap(({ items }) =>
    items.flatMap(({ command }) => (isContextCopy(command) ? localSourcesOf(command) : [])),
  );
  return sources.length === 0 ? [] : [...filesOfSources(facts, sources)];
}

/** What is put at the end of a file so that it is another one and still means the same, as far as that can be. */
export function appended(path: string, nonce: string): string {
  // JSON and most lock files bear blanks only: the nonce is written in them.
  if (/\.(?:json|lock|xml|sum|md)$/.test(path)) return `\n${blanks(nonce)}\n`;
  if (/\.(?:py|sh|rb|pl|txt|toml|ya?ml|ex)$/.test(path)) return `\n# ${nonce}\n`;
  if (/\.(?:lua|sql)$/.test(path)) return `\n-- ${nonce}\n`;
  if (/\.(?:html)$/.test(path)) return `\n<!-- ${nonce} -->\n`;
  if (/\.(?:css)$/.test(path)) return `\n/* ${nonce} */\n`;
  if (/(?:\.(?:mod|gradle)$)|\.kts$/.test(path) || CODE.test(path)) return `\n// ${nonce}\n`;
  return `\n${nonce}\n`;
}

const blanks = (nonce: string): string =>
  Array.from(Buffer.from(nonce), (byte) => byte.toString(2).padStart(8, '0'))
    .join('')
    .replaceAll('0', ' ')
    .replaceAll('1', '\t');

/** The Dockerfile on other bases: a file more at the beginning of every stage that stands on an image. */
export function withOtherBase({ file, parsed, instructions }: Model, nonce: string): string {
  const names = new Set(instructions.stages.map(({ stageName }) => stageName));
  const lines = file.text.split(/(?<=\n)/);
  const first = instructions.stages.filter(({ base }) => !names.has(base.value.toLowerCase()));
  for (const {
    lines: [, last],
  } of first.reverse()) {
    const text = lines[last - 1] ?? '';
    lines[last - 1] =
      `${text}${text.endsWith('\n') ? '' : '\n'}COPY <<${nonce} /.varve-base\n${nonce} of ${parsed.ast.lines[1]}\n${nonce}\n`;
  }
  return lines.join('');
}
