import { filesOfSources, sizeOfSources } from '../context-sizes.ts';
import { type Item, isContextCopy, localSources, takesAll } from '../dockerfile-model.ts';
import type { ContextFacts } from '../finding.ts';
import { resolvePath, touches, workdirs } from '../paths.ts';
import { changingVariables } from '../rules/variables.ts';
import { blocksOf, edit, insertBefore, moveBefore, placeOf, withFlag } from './blocks.ts';
import type { Rewriter } from './rewrite.ts';

/** Smaller copies are not worth an order or a layer of their own. */
const LARGE = 128 << 10;
const TIMES = 8;

/** Copies move above those that change more often: large ones above small ones, single files above trees of sources. */
export const largeFirst: Rewriter = (subject) =>
  subject.model.stages.flatMap((stage) => {
    const { items } = stage;
    const dirs = workdirs(stage);
    const sized = items.map(({ command }) =>
      isContextCopy(command) && !takesAll(command)
        ? measured(subject.facts, localSources(command))
        : undefined,
    );
    return items.flatMap((item, i) => {
      const moving = sized[i];
      if (moving === undefined || !isContextCopy(item.command)) return [];
      const own = resolvePath(dirs[i] ?? '/', item.command.dest.value);
      let target: Item | undefined;
      for (let up = i - 1; up >= 0; up--) {
        const above = items[up];
        if (above === undefined || isBarrier(above, item)) break;
        const { command } = above;
        if (!isContextCopy(command)) continue;
        const dest = resolvePath(dirs[up] ?? '/', command.dest.value);
        if (own === dest && !command.dest.value.endsWith('/')) break;
        const other = sized[up];
        // A copy of everything, and one that changes no more often, keeps its place.
        if (other === undefined || !changesMore(other, moving)) break;
        if (!isManifestCopy(command)) target = above;
      }
      if (target === undefined) return [];
      const blocks = blocksOf(subject.model);
      const from = placeOf(blocks, item.command);
      return [
        {
          key: `large ${item.command.code.replaceAll(/--\S+\s+/g, '')}`,
          kind: 'large-first',
          title: `${localSources(item.command).join(', ')} is copied before what changes more often`,
          result: moveBefore(blocks, from, placeOf(blocks, target.command)),
          drops: [],
        },
      ];
    });
  });

interface Measured {
  readonly bytes: number;
  readonly files: number;
}

function measured(facts: ContextFacts, sources: readonly string[]): Measured {
  const files = filesOfSources(facts, sources);
  return { bytes: files.reduce((sum, { bytes }) => sum + bytes, 0), files: files.length };
}

/** Whether one copy changes more often than another, by all that their files tell: it is much smaller, or has many more. */
function changesMore(one: Measured, other: Measured): boolean {
  if (one.files === 0 || other.files === 0) return false;
  if (other.bytes >= LARGE) return one.bytes * TIMES <= other.bytes;
  return one.bytes < LARGE && one.files >= MANY * other.files;
}

/** So many times as many files make a copy the one that changes more often. */
const MANY = 4;

/** What a copy cannot pass: what its place, its names or its owner depend on. */
function isBarrier({ command }: Item, { command: moving }: Item): boolean {
  switch (command.kind) {
    case 'workdir':
    case 'shell':
    case 'volume':
      return true;
    case 'arg':
      return command.args.some(
        ({ key }) => moving.code.includes(`$${key}`) || moving.code.includes(`\${${key}`),
      );
    case 'env':
      return command.pairs.some(
        ({ key }) => moving.code.includes(`$${key}`) || moving.code.includes(`\${${key}`),
      );
    case 'run':
      // A user that the copy names may be made here; installs gain nothing from what stands below them.
      return true;
    default:
      return false;
  }
}

const isManifestCopy = (command: Item['command']): boolean =>
  isContextCopy(command) &&
  localSources(command).every((source) => /\.(?:txt|json|lock|toml|mod|sum|xml)$/.test(source));

/** Variables that change with every build move down to what uses them. */
export const variablesDown: Rewriter = ({ model, changing }) =>
  changingVariables(model, changing).flatMap((finding) => {
    const { blame, span } = finding;
    if (blame.kind !== 'variable' || span === undefined) return [];
    const { name } = blame;
    const stage = model.stages.find(({ items }) =>
      items.some(
        ({ command }) =>
          command.span.offset <= span.offset &&
          span.offset < command.span.offset + command.span.length,
      ),
    );
    const items = stage?.items ?? [];
    const i = items.findIndex(
      ({ command }) =>
        command.span.offset <= span.offset &&
        span.offset < command.span.offset + command.span.length,
    );
    const item = items[i];
    const single =
      (item?.command.kind === 'arg' && item.command.args.length === 1) ||
      (item?.command.kind === 'env' && item.command.pairs.length === 1);
    if (item === undefined || !single) return [];
    const named = new RegExp(`(?<![A-Za-z0-9_])${name}(?![A-Za-z0-9_])`);
    const user = items.slice(i + 1).find(({ command }) => {
      const bodies = command.kind === 'run' ? command.line.files.map(({ data }) => data) : [];
      return [command.code, ...bodies].some((text) => named.test(text));
    });
    const blocks = blocksOf(model);
    const last = items.at(-1)?.command;
    const to =
      user !== undefined
        ? placeOf(blocks, user.command)
        : last === undefined
          ? -1
          : placeOf(blocks, last) + 1;
    const from = placeOf(blocks, item.command);
    const moved =
      to >= blocks.blocks.length ? moveToEnd(blocks, from) : moveBefore(blocks, from, to);
    return [
      {
        key: `variable ${name}`,
        kind: 'variable-down',
        title: `${item.command.name} ${name} moves down to ${user === undefined ? 'the end of its stage' : `the ${user.command.name} that uses it`}`,
        result: moved,
        drops: [],
        ...(item.command.kind === 'arg' ? { probes: name } : {}),
      },
    ];
  });

function moveToEnd(blocks: ReturnType<typeof blocksOf>, from: number): ReturnType<typeof blocksOf> {
  const text = blocks.blocks[from]?.text ?? '';
  const added = insertBefore(blocks, blocks.blocks.length, text);
  return moveGone(added, from);
}

function moveGone(blocks: ReturnType<typeof blocksOf>, at: number): ReturnType<typeof blocksOf> {
  const [gone, next] = [blocks.blocks[at], blocks.blocks[at + 1]];
  if (gone === undefined || next === undefined) return blocks;
  const kept = { ...next, lead: gone.lead === '\n' ? next.lead : `${gone.lead}${next.lead}` };
  return {
    ...blocks,
    blocks: [...blocks.blocks.slice(0, at), kept, ...blocks.blocks.slice(at + 2)],
  };
}

/** Large copies and copies of stages become layers that stand on nothing, so that they outlive what is below them. */
export const linkCopies: Rewriter = ({ model, facts }) =>
  model.stages.flatMap(({ items, inImage }) =>
    items.flatMap(({ command }, i) => {
      if (!inImage || command.kind !== 'copy' || command.link || command.contents.length > 0)
        return [];
      if (/[^\d:]/.test(command.chown) || command.parents) return [];
      const large = command.from !== '' || sizeOfSources(facts, localSources(command)) >= LARGE;
      const worked = items
        .slice(0, i)
        .some(
          ({ command: above }) =>
            above.kind === 'run' ||
            (isContextCopy(above) && !touches(above.dest.value, command.dest.value)),
        );
      if (!large || !worked) return [];
      const blocks = blocksOf(model);
      return [
        {
          key: `link ${command.code.replaceAll(/--\S+\s+/g, '')}`,
          kind: 'copy-link',
          title: `--link for COPY of ${command.sources.map(({ value }) => value).join(', ')}`,
          result: edit(blocks, placeOf(blocks, command), (text) =>
            withFlag(text, command.name, '--link'),
          ),
          drops: [],
        },
      ];
    }),
  );
