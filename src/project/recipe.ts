import { byCodeUnit, err, ok, type Result, type SourceFile } from '../base/index.ts';
import { type AstNode, type DockerfileFailure, parseDockerfile } from '../dockerfile/index.ts';
import type { LayerSpec, LayerStep } from './project.ts';

/** Name under which a recipe finds what its layer stands on. */
export const BASE = 'base';
/** Name under which a recipe finds its lists. */
export const LISTS = 'lists';
/** Name of the stage with the downloads. */
const URLS = 'urls';

/**
 * The Dockerfile that makes a layer. `FROM base` is what the layer stands on; commands find files, lists and downloads
 * below `/inputs`, and stages below the names `lists` and `urls`. `text` is the file of a `dockerfile:` recipe.
 */
export function recipeText(layer: LayerSpec, text: string): string {
  const downloads =
    layer.urls.length === 0
      ? ''
      : `FROM scratch AS ${URLS}\n${layer.urls
          .map(({ url, digest, name }) => `ADD --checksum=${digest} ${url} /${name}\n`)
          .join('')}`;
  const from = `FROM ${BASE} AS ${stageName(layer)}\n${Object.keys(layer.args)
    .sort(byCodeUnit)
    .map((name) => `ARG ${name}\n`)
    .join('')}`;
  const { recipe } = layer;
  switch (recipe.kind) {
    case 'template':
    case 'packages':
      return `FROM ${BASE} AS ${stageName(layer)}\n`;
    case 'dockerfile':
      return withDownloads(text, downloads);
    case 'inline':
      return /^\s*FROM\s/im.test(recipe.text)
        ? withDownloads(recipe.text, downloads)
        : `${downloads}${from}${recipe.text}`;
    case 'steps':
      return `${downloads}${from}${recipe.steps.map((step) => `${stepText(layer, step)}\n`).join('')}`;
  }
}

/** Names that stand for something else in every recipe. */
export const RESERVED: readonly string[] = [BASE, LISTS, URLS];

/** A stage with the name of a context would be that context. */
const stageName = ({ name }: LayerSpec): string =>
  RESERVED.includes(name) ? `layer-${name}` : name;

/** Arguments before the first FROM stay the first lines of a file. */
function withDownloads(text: string, downloads: string): string {
  if (downloads === '') return text;
  const at = /^[ \t]*FROM\s/im.exec(text)?.index ?? 0;
  return `${text.slice(0, at)}${downloads}${text.slice(at)}`;
}

function stepText(layer: LayerSpec, step: LayerStep): string {
  switch (step.kind) {
    case 'env':
      return `ENV ${Object.entries(step.env)
        .map(([name, value]) => `${name}="${value.replace(/["\\]/g, '\\$&')}"`)
        .join(' ')}`;
    case 'copy': {
      const flags = [
        ...(step.chown === undefined ? [] : [`--chown=${step.chown} `]),
        ...(step.chmod === undefined ? [] : [`--chmod=${step.chmod} `]),
      ].join('');
      return `COPY ${flags}${JSON.stringify([step.from, step.to])}`;
    }
    case 'run': {
      const flags = mounts(layer)
        .map((mount) => `--mount=${mount} `)
        .join('');
      const network = layer.network === 'default' ? '' : `--network=${layer.network} `;
      const command = step.command.trimEnd();
      if (!command.includes('\n') && !command.includes('<<'))
        return `RUN ${flags}${network}${command}`;
      return `RUN ${flags}${network}<<'VARVE_STEP'\nset -e\n${command}\nVARVE_STEP`;
    }
  }
}

function mounts(layer: LayerSpec): readonly string[] {
  return [
    ...(layer.files.length === 0 ? [] : ['type=bind,target=/inputs/files']),
    ...(layer.lists.length === 0 ? [] : [`type=bind,from=${LISTS},target=/inputs/lists`]),
    ...(layer.urls.length === 0 ? [] : [`type=bind,from=${URLS},target=/inputs/urls`]),
    ...layer.cache.map((dir) => `type=cache,target=${dir}`),
  ];
}

/** One instruction of a recipe as a key sees it. */
export interface RecipeInstruction {
  /** For people: the instruction's first words. */
  readonly text: string;
  /** Everything that the instruction says; comments, continuations and the case of its keyword left out. */
  readonly parts: readonly (string | boolean | readonly string[])[];
}

const SHOWN = 60;

/**
 * The instructions of a recipe without what does not change its result: those of the target, of the stages it is made of,
 * and the arguments above the first stage.
 */
export function recipeInstructions(
  file: SourceFile,
  target?: string,
): Result<readonly RecipeInstruction[], DockerfileFailure> {
  const parsed = parseDockerfile(file);
  if (!parsed.ok) return err(parsed.error);
  return ok(
    reachable(parsed.value.ast.children, target).map((node) => {
      const line = node.original.trim();
      return {
        text: line.length > SHOWN ? `${line.slice(0, SHOWN - 1)}…` : line,
        parts: [
          node.value.toUpperCase(),
          node.flags.map(({ value }) => value),
          node.args.map(({ value }) => value),
          node.child?.original ?? '',
          node.json,
          ...node.heredocs.map((h) => [h.name, h.content, String(h.expand), String(h.chomp)]),
        ],
      };
    }),
  );
}

/** The instructions that a target is made of; all of them where that cannot be told from the text. */
function reachable(nodes: readonly AstNode[], target: string | undefined): readonly AstNode[] {
  const stages: { readonly name: string; readonly nodes: AstNode[] }[] = [];
  const head: AstNode[] = [];
  for (const node of nodes) {
    if (node.value.toUpperCase() === 'FROM') {
      const [, as, name] = node.args.map(({ value }) => value);
      const named = as?.toUpperCase() === 'AS' ? (name ?? '') : '';
      stages.push({ name: named.toLowerCase(), nodes: [node] });
    } else (stages.at(-1)?.nodes ?? head).push(node);
  }
  const indexOf = (name: string): number =>
    /^\d+$/.test(name) ? Number(name) : stages.findLastIndex((s) => s.name === name.toLowerCase());
  const wanted = new Set<number>();
  const pending = [target === undefined ? stages.length - 1 : indexOf(target)];
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    const stage = stages[at];
    if (stage === undefined || wanted.has(at)) continue;
    wanted.add(at);
    for (const name of stage.nodes.flatMap(namesIn)) {
      if (name.includes('$')) return nodes;
      pending.push(indexOf(name));
    }
  }
  return [...head, ...stages.flatMap((stage, i) => (wanted.has(i) ? stage.nodes : []))];
}

/** Stages and images that an instruction names. */
function namesIn(node: AstNode): readonly string[] {
  const from = node.value.toUpperCase() === 'FROM' ? node.args.slice(0, 1) : [];
  const flags = node.flags.flatMap(
    ({ value }) => /(?:^--from=|^--mount=(?:.*,)?from=)([^,]+)/.exec(value)?.[1] ?? [],
  );
  return [...from.map(({ value }) => value), ...flags];
}
