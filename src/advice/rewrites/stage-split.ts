import type { Item, Model, StageModel } from '../dockerfile-model.ts';
import { toolPackages } from '../rules/packages.ts';
import { type Block, blocksOf, placeOf } from './blocks.ts';

/** A stage that installs build tools, works with them, and keeps them in the image. */
export interface StageSplit {
  readonly key: string;
  /** The packages that the image keeps for nothing. */
  readonly tools: readonly string[];
  /** The Dockerfile up to the install: without it, with what of it is no tool, and with all of it. */
  readonly before: string;
  readonly runtime: string;
  readonly through: string;
  /** The Dockerfile with a stage of its own for the work, of which these copies are made. */
  readonly withCopies: (copies: readonly CopiedPaths[]) => string;
}

/** Sources of a stage that are copied to one place. */
export interface CopiedPaths {
  readonly sources: readonly string[];
  readonly dest: string;
}

/** Instructions of the work itself; all others are of the configuration and stay. */
const WORK = new Set(['run', 'copy', 'add']);

/** Instructions that only the image needs, not the stage that does the work. */
const OF_IMAGE = new Set([
  ...['cmd', 'entrypoint', 'expose', 'healthcheck', 'stopsignal', 'label', 'volume', 'onbuild'],
  'maintainer',
]);

/** Finds the split of the stage that is the image; undefined where there is none, or one that is not understood. */
export function stageSplit(model: Model): StageSplit | undefined {
  const stage = model.stages.findLast(({ inImage }) => inImage);
  if (stage === undefined) return undefined;
  const at = stage.items.findIndex(({ calls }) =>
    calls.some((call) => toolPackages(call).length > 0),
  );
  const install = stage.items[at];
  if (install === undefined || install.mounts.some(({ type }) => type === 'bind')) return undefined;
  const rest = stage.items.slice(at + 1);
  const installsLater = rest.some(({ calls }) =>
    calls.some((call) => call.install?.manager.kind === 'system'),
  );
  if (installsLater || !rest.some(({ command }) => command.kind === 'run')) return undefined;
  return splitAt(model, stage, { at, install });
}

function splitAt(
  model: Model,
  stage: StageModel,
  { at, install }: { readonly at: number; readonly install: Item },
): StageSplit {
  const { blocks, tail } = blocksOf(model);
  const from = placeOf({ blocks, tail }, stage.stage);
  const place = from + 1 + at;
  const end = from + stage.items.length;
  const own = (i: number): Block => blocks[i] ?? { lead: '', text: '', line: 0 };
  const text = (some: readonly Block[]): string =>
    some.map((block) => `${block.lead}${block.text}`).join('');
  const tools = install.calls.flatMap(toolPackages);
  const edited = withoutPackages(own(place).text, install, tools);
  const head = text(blocks.slice(0, place));
  const rest = blocks.slice(place + 1, end + 1).map((block, i) => ({
    block,
    kind: stage.items[at + 1 + i]?.command.kind ?? 'run',
  }));
  const lastWork = rest.findLastIndex(({ kind }) => WORK.has(kind));
  return {
    key: `split ${tools.join(' ')}`,
    tools,
    before: head,
    runtime: `${head}${edited}`,
    through: `${head}${text([own(place)])}`,
    withCopies: (copies) => {
      const [shared, build] = namesFor(model);
      const line = own(from);
      const bare = line.text.replace(/[ \t]+as[ \t]+\S+[ \t]*$/im, '');
      const name = stage.stage.as === undefined ? '' : ` AS ${stage.stage.as.value}`;
      const isShared = at > 0;
      const base = isShared ? `FROM ${shared}` : bare.slice(bare.search(/^from/im)).trimEnd();
      const copied = copies
        .map(({ sources, dest }) => `COPY --from=${build} ${[...sources, dest].join(' ')}\n`)
        .join('');
      return [
        text(blocks.slice(0, from)),
        `${line.lead}${bare.trimEnd()} AS ${isShared ? shared : build}\n`,
        text(blocks.slice(from + 1, place)),
        isShared ? `\n${base} AS ${build}\n` : '',
        text([own(place)]),
        text(rest.filter(({ kind }) => !OF_IMAGE.has(kind)).map(({ block }) => block)),
        `\n${base}${name}\n`,
        edited,
        ...rest.map(({ block, kind }, i) =>
          i === lastWork ? copied : WORK.has(kind) ? '' : `${block.lead}${block.text}`,
        ),
        text(blocks.slice(end + 1)),
        tail,
      ].join('');
    },
  };
}

/** Names that no stage has. */
function namesFor({ stages }: Model): readonly [shared: string, build: string] {
  const taken = new Set(stages.map(({ stage }) => stage.stageName));
  const free = (name: string): string => (taken.has(name) ? free(`${name}-2`) : name);
  return [free('build-base'), free('build')];
}

/** An install without these packages; empty where nothing is left to install. */
function withoutPackages(text: string, item: Item, tools: readonly string[]): string {
  const left = item.calls.flatMap(({ install }) =>
    (install?.packages ?? []).filter((name) => !tools.includes(name)),
  );
  const installs = item.calls.filter(({ install }) => install !== undefined);
  if (left.length === 0 && installs.length === 1) return '';
  return tools.reduce(
    (changed, name) =>
      changed.replace(
        new RegExp(`(?:[ \\t]*\\\\\\n)?[ \\t]+["']?${RegExp.escape(name)}["']?(?=\\s|;|&|$)`),
        '',
      ),
    text,
  );
}
