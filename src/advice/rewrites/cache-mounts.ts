import type { Item, StageModel } from '../dockerfile-model.ts';
import type { Manager } from '../package-managers.ts';
import { blocksOf, edit, placeOf, withFlag } from './blocks.ts';
import type { Rewrite, Rewriter } from './rewrite.ts';
import { type Cleaning, withoutCleaning } from './without-cleaning.ts';

/** Language package managers keep their downloads in a cache mount. */
export const cacheMounts: Rewriter = ({ model }) =>
  model.stages.flatMap((stage) =>
    stage.items.flatMap((item): readonly Rewrite[] => {
      const blocks = blocksOf(model);
      const managers = managersOf(item).filter((manager) => canCache(manager, stage, item));
      if (managers.length === 0 || item.mounts.some(({ type }) => type === 'cache')) return [];
      const caches = managers.flatMap((manager) => manager.caches);
      const flags = caches
        .map(
          ({ target, sharing }) =>
            `--mount=type=cache,target=${target}${sharing === undefined ? '' : `,sharing=${sharing}`}`,
        )
        .join(' ');
      return [
        {
          key: `cache mount ${item.command.code}`,
          kind: 'cache-mount',
          title: `a cache mount for ${managers.map(({ name }) => name).join(' and ')}`,
          result: edit(blocks, placeOf(blocks, item.command), (text) =>
            withoutCleaning(
              withFlag(text, item.command.name, flags).replaceAll(noCacheFlag(managers), ''),
              cleaningOf(caches.map(({ target }) => target)),
            ),
          ),
          // What the manager kept in the image before.
          drops: caches.map(({ target }) => target),
        },
      ];
    }),
  );

/** Managers of languages that a step calls, each once. */
function managersOf({ calls }: Item): readonly Manager[] {
  const found = calls.flatMap(({ install }) => install?.manager ?? []);
  return [...new Set(found)].filter(({ kind }) => kind === 'language');
}

/** Whether a manager would use its directory: it is root's, and no variable turns it off. */
function canCache({ caches, name }: Manager, { items }: StageModel, item: Item): boolean {
  const above = items.slice(0, items.indexOf(item));
  const user = above.findLast(({ command }) => command.kind === 'user')?.command;
  const isRoot = user?.kind !== 'user' || /^(?:root|0)(?::|$)/.test(user.user.value);
  if (!isRoot && caches.some(({ target }) => target.startsWith('/root/'))) return false;
  const off = OFF[name];
  return (
    off === undefined ||
    ![...above.filter(({ command }) => command.kind !== 'run'), item].some(({ command }) =>
      off.test(command.code),
    )
  );
}

/** The option that keeps a manager from its cache; `--no-cache` is another thing to apk. */
const noCacheFlag = (managers: readonly Manager[]): RegExp =>
  managers.every(({ name }) => name === 'uv')
    ? /[ \t]+--no-cache(?:-dir)?(?=\s)/g
    : /[ \t]+--no-cache-dir(?=\s)/g;

/** Settings that turn a manager's cache off or put it elsewhere. */
const OFF: Readonly<Record<string, RegExp>> = {
  pip: /PIP_NO_CACHE_DIR|PIP_CACHE_DIR|XDG_CACHE_HOME|--cache-dir/,
  uv: /UV_NO_CACHE|UV_CACHE_DIR|XDG_CACHE_HOME|--cache-dir/,
  npm: /npm_config_cache|NPM_CONFIG_CACHE|--cache[ =]/,
  go: /GOMODCACHE|GOCACHE|GOPATH/,
  cargo: /CARGO_HOME/,
};

/** Commands that empty a manager's cache, and removals of its directories. */
function cleaningOf(targets: readonly string[]): Cleaning {
  const roots = targets.map((target) => target.replaceAll('.', '\\.')).join('|');
  return {
    commands: [
      /^npm\s+cache\s+clean(?:\s+--force|\s+-f)?$/,
      /^yarn\s+cache\s+clean$/,
      /^pip[0-9.]*\s+cache\s+purge$/,
      /^uv\s+cache\s+clean$/,
      /^go\s+clean\s+-(?:mod)?cache$/,
    ],
    removed: new RegExp(`^(?:${roots})(?:/|$)|^~/\\.(?:npm|cache)(?:/|$)|^/root/\\.cache/?\\*?$`),
  };
}
