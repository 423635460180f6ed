import { blocksOf, edit, placeOf, withFlag } from './blocks.ts';
import type { Rewrite, Rewriter } from './rewrite.ts';

/** Language package managers keep their downloads in a cache mount. */
export const cacheMounts: Rewriter = ({ model }) =>
  model.stages.flatMap(({ items }) => {
    const blocks = blocksOf(model);
    return items.flatMap((item): readonly Rewrite[] => {
      const manager = item.calls.find(({ install }) => install?.manager.kind === 'language')
        ?.install?.manager;
      if (manager === undefined || item.mounts.some(({ type }) => type === 'cache')) return [];
      const flags = manager.caches
        .map(
          ({ target, sharing }) =>
            `--mount=type=cache,target=${target}${sharing === undefined ? '' : `,sharing=${sharing}`}`,
        )
        .join(' ');
      return [
        {
          key: `cache mount ${item.command.code}`,
          kind: 'cache-mount',
          title: `a cache mount for ${manager.name}`,
          result: edit(blocks, placeOf(blocks, item.command), (text) =>
            withFlag(text, item.command.name, flags).replaceAll(/[ \t]+--no-cache-dir(?=\s)/g, ''),
          ),
          // What the manager kept in the image before.
          drops: manager.caches.map(({ target }) => target),
        },
      ];
    });
  });
