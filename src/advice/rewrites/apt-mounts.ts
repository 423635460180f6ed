import type { Item, Model } from '../dockerfile-model.ts';
import { type Blocks, blocksOf, edit, insertBefore, placeOf, withFlag } from './blocks.ts';
import type { Rewrite, Rewriter } from './rewrite.ts';
import { withoutCleaning } from './without-cleaning.ts';

const KEEP = 'apt-keep';

/**
 * Images of Debian and Ubuntu have `/etc/apt/apt.conf.d/docker-clean`, which deletes every package after its installation.
 * While the install runs this file stands in its place, so that the image keeps its own.
 */
const KEEP_STAGE = `FROM scratch AS ${KEEP}
# While packages are installed this stands in for docker-clean, which would empty the cache mount.
COPY <<EOF /keep-downloads
Binary::apt::APT::Keep-Downloaded-Packages "true";
APT::Keep-Downloaded-Packages "true";
EOF
`;

const KEEP_MOUNT = `--mount=type=bind,from=${KEEP},source=/keep-downloads,target=/etc/apt/apt.conf.d/docker-clean`;

const ARCHIVES = '/var/cache/apt';
const LISTS = '/var/lib/apt/lists';

const cacheMount = (target: string): string => `--mount=type=cache,target=${target},sharing=locked`;

/** Packages that apt downloads are kept in a cache mount. */
export const aptArchives: Rewriter = ({ model }) =>
  aptSteps(model, ARCHIVES).flatMap((item): readonly Rewrite[] => {
    const blocks = withKeepStage(model);
    if (blocks === undefined) return [];
    return [
      {
        key: `apt archives ${plainCode(item)}`,
        kind: 'cache-mount',
        title: 'a cache mount for the packages of apt',
        result: edit(blocks, placeOf(blocks, item.command), (text) =>
          withoutCleaning(
            withFlag(text, item.command.name, `${cacheMount(ARCHIVES)} ${KEEP_MOUNT}`),
            {
              commands: [/^apt(?:-get)?\s+(?:-\w+\s+)*(?:auto)?clean$/],
              removed: /^\/var\/cache\/apt/,
            },
          ),
        ),
        drops: [ARCHIVES],
      },
    ];
  });

/** Package lists are kept in a cache mount; only a step that refreshes them itself can do without those of the image. */
export const aptLists: Rewriter = ({ model }) =>
  aptSteps(model, LISTS).flatMap((item): readonly Rewrite[] => {
    if (!item.calls.some(({ words }) => isApt(words) && words.includes('update'))) return [];
    const blocks = blocksOf(model);
    return [
      {
        key: `apt lists ${plainCode(item)}`,
        kind: 'cache-mount',
        title: 'a cache mount for the package lists of apt',
        result: edit(blocks, placeOf(blocks, item.command), (text) =>
          withoutCleaning(withFlag(text, item.command.name, cacheMount(LISTS)), {
            commands: [/^apt(?:-get)?\s+dist-clean$/],
            removed: /^\/var\/lib\/apt\/lists/,
          }),
        ),
        drops: [LISTS],
      },
    ];
  });

const isApt = ([program = '']: readonly string[]): boolean => /(?:^|\/)apt(?:-get)?$/.test(program);

/** The instruction without its flags and clean-up: the same before and after these rewrites. */
const plainCode = ({ calls }: Item): string =>
  calls.find(({ install }) => install?.manager.name === 'apt')?.words.join(' ') ?? '';

/** Steps that install with apt and have no mount at or around a directory. */
function aptSteps({ stages }: Model, directory: string): readonly Item[] {
  return stages.flatMap(({ items }) =>
    items.filter(
      ({ command, calls, mounts }) =>
        command.kind === 'run' &&
        command.line.prependShell &&
        command.line.files.length === 0 &&
        calls.some(({ install }) => install?.manager.name === 'apt') &&
        !mounts.some(({ target }) => `${directory}/`.startsWith(`${target.replace(/\/$/, '')}/`)),
    ),
  );
}

/** The file with the stage above all others; undefined where a stage is named by its number, which would change. */
function withKeepStage(model: Model): Blocks | undefined {
  const blocks = blocksOf(model);
  const { stages } = model.instructions;
  if (stages.some(({ stageName }) => stageName === KEEP)) return blocks;
  const [first] = stages;
  const byNumber = model.stages.some(({ items }) =>
    items.some(
      ({ command, mounts }) =>
        (command.kind === 'copy' && /^\d+$/.test(command.from)) ||
        mounts.some(({ from }) => /^\d+$/.test(from)),
    ),
  );
  if (first === undefined || byNumber) return undefined;
  return insertBefore(blocks, placeOf(blocks, first), `${KEEP_STAGE}\n`);
}
