import { type GoJson, ok, type Result } from '../base/index.ts';
import type { LayerChain, OpContext } from '../ports/index.ts';
import type { Template, TemplateLock } from '../template/index.ts';
import type { TemplateDeps } from './template.ts';
import { createTemplateDriver } from './template-source.ts';

/** A root file system made from a template, and what an image of it says. */
export interface ComposedImage {
  readonly lock: TemplateLock;
  readonly chain: LayerChain;
  /** The `config` member of the image configuration (OCI image-spec, config.md). */
  readonly config: Readonly<Record<string, GoJson>>;
}

/**
 * Makes the image of a template: choices first, then the root file system. It looks nothing up in the cache; a build does
 * that by giving `templateSource(...)` to the solver.
 */
export async function composeImage(
  template: Template,
  deps: TemplateDeps & { readonly resolve: (template: Template) => Promise<Result<TemplateLock>> },
  context: OpContext & { readonly name: string },
): Promise<Result<ComposedImage>> {
  const { imageConfigOf, templateSource } = await import('../template/index.ts');
  const lock = await deps.resolve(template);
  if (!lock.ok) return lock;
  const driver = createTemplateDriver(templateSource(context.name, lock.value), deps);
  const made = await driver.run(context, []);
  if (!made.ok) return made;
  const [chain] = made.value;
  if (chain === undefined) throw new Error('a template has one output');
  return ok({ lock: lock.value, chain, config: imageConfigOf(lock.value.config) });
}
