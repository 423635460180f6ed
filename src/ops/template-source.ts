import type { SourceOp } from '../llb/index.ts';
import type { OpDriver } from '../ports/index.ts';
import type { TemplateDeps } from './template.ts';
import type { RootShelf, ShelfDeps } from './template-shelf.ts';

/** `TEMPLATE_SCHEME` of `template/`, which is loaded with its libraries when a build has a template: most have none. */
const SCHEME = 'varve-template://';

/** Whether a source op makes a root file system from a template's lock. */
export function isTemplateSource(source: SourceOp): boolean {
  return source.identifier.startsWith(SCHEME);
}

/** The shelf of earlier roots, made when a build first makes one. */
export type LazyShelf = () => Promise<RootShelf>;

/** One shelf, whoever asks. */
export function lazyShelf(deps: ShelfDeps): LazyShelf {
  let shelf: Promise<RootShelf> | undefined;
  return () =>
    (shelf ??= import('./template-shelf.ts').then(({ RootShelf }) => new RootShelf(deps)));
}

/** The driver of `varve-template://<name>` (template.ts), loaded when it is first asked. */
export function createTemplateDriver(
  source: SourceOp,
  deps: TemplateDeps,
  shelf?: LazyShelf,
): OpDriver {
  const load = async (): Promise<OpDriver> => {
    const { templateDriver } = await import('./template.ts');
    return templateDriver(source, shelf === undefined ? deps : { ...deps, shelf: await shelf() });
  };
  return {
    cacheMap: async (context) => await (await load()).cacheMap(context),
    contentKey: () => {
      throw new Error('a template has no inputs');
    },
    run: async (context, inputs) => await (await load()).run(context, inputs),
  };
}
