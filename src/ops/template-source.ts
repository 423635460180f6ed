import type { SourceOp } from '../llb/index.ts';
import type { OpDriver } from '../ports/index.ts';
import type { TemplateDeps } from './template.ts';

/** `TEMPLATE_SCHEME` of `template/`, which is loaded with its libraries when a build has a template: most have none. */
const SCHEME = 'varve-template://';

/** Whether a source op makes a root file system from a template's lock. */
export function isTemplateSource(source: SourceOp): boolean {
  return source.identifier.startsWith(SCHEME);
}

/** The driver of `varve-template://<name>` (template.ts), loaded when it is first asked. */
export function createTemplateDriver(source: SourceOp, deps: TemplateDeps): OpDriver {
  const load = async (): Promise<OpDriver> =>
    (await import('./template.ts')).templateDriver(source, deps);
  return {
    cacheMap: async (context) => await (await load()).cacheMap(context),
    contentKey: () => {
      throw new Error('a template has no inputs');
    },
    run: async (context, inputs) => await (await load()).run(context, inputs),
  };
}
