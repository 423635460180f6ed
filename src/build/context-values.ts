import { err, failure, ok, type Result, sha256 } from '../base/index.ts';
import {
  formatPlatform,
  formatReference,
  type Platform,
  parseReference,
  pickPlatform,
  repositoryOf,
} from '../oci/index.ts';
import type { FoundImage, ImageResolver } from '../ops/index.ts';
import type { BuildRequest, NamedContext, StackImage } from './request.ts';

/** Name of the main context. */
export const MAIN_CONTEXT = 'context';

/** What named contexts are resolved with. */
export interface ContextWorld {
  readonly images: ImageResolver;
  readonly buildPlatform: Platform;
  /** Filled here: directory of each OCI layout by the repository that stands for it. */
  readonly layouts: Map<string, string>;
  readonly signal: AbortSignal;
}

/** The `--build-context` values as the front end reads them; layouts are pinned to a digest. */
export async function contextValues(
  request: BuildRequest,
  world: ContextWorld,
): Promise<Result<Readonly<Record<string, string>>>> {
  const values: Record<string, string> = {};
  for (const [name, context] of request.namedContexts) {
    switch (context.kind) {
      case 'local':
        values[name] = `local:${name}`;
        break;
      case 'image':
        values[name] = `docker-image://${context.ref}`;
        break;
      case 'remote':
        values[name] = context.address;
        break;
      case 'template':
        values[name] = `template:${context.file}`;
        break;
      case 'stack':
        values[name] = `docker-image://${stackRef(name)}`;
        break;
      case 'oci-layout': {
        const value = await layoutValue(request, name, context, world);
        if (!value.ok) return value;
        values[name] = value.value;
      }
    }
  }
  return ok(values);
}

/** No registry has this name (RFC 2606). */
const STACKS = 'varve.invalid';

/** The reference that stands for a context of the kind `stack`. */
function stackRef(name: string): string {
  // The front end wants a reference; any text can be a context's name.
  const own = /^[a-z0-9]+(?:[._-][a-z0-9]+)*$/.test(name) ? name : sha256(name).slice(7, 19);
  return `${STACKS}/${own}`;
}

/** A resolver that also knows the contexts of the kind `stack`. */
export function withStacks(
  images: ImageResolver,
  contexts: BuildRequest['namedContexts'],
): ImageResolver {
  const stacks = new Map<string, readonly StackImage[]>();
  for (const [name, context] of contexts)
    if (context.kind === 'stack') stacks.set(stackRef(name), context.images);
  if (stacks.size === 0) return images;
  return {
    layout: (dir, ref, options) => images.layout(dir, ref, options),
    image: (ref, options) => {
      const parsed = parseReference(ref);
      const stack = parsed.ok ? stacks.get(repositoryOf(parsed.value)) : undefined;
      return stack === undefined
        ? images.image(ref, options)
        : Promise.resolve(ofPlatform(stack, options.platform));
    },
  };
}

/** The result of one platform; the only result is meant for every one. */
function ofPlatform(stack: readonly StackImage[], platform: Platform): Result<FoundImage> {
  const [first, second] = stack;
  const picked =
    second === undefined ? first : pickPlatform(stack, (each) => each.platform, platform);
  if (picked !== undefined) return ok(picked.image);
  const there = stack.map((each) => formatPlatform(each.platform)).join(', ');
  return err(
    failure('PJ013', 1, `a context has no result for ${formatPlatform(platform)}`, {
      help: `it was built for ${there}: add the platform there`,
    }),
  );
}

async function layoutValue(
  request: BuildRequest,
  name: string,
  layout: Extract<NamedContext, { readonly kind: 'oci-layout' }>,
  world: ContextWorld,
): Promise<Result<string>> {
  // The front end wants a name that is a repository; any text can be a context's name.
  const own = /^[a-z0-9]+(?:[._-][a-z0-9]+)*$/.test(name) ? name : sha256(name).slice(7, 19);
  const parsed = parseReference(own);
  if (!parsed.ok) throw new Error(`${own} is no repository name`);
  world.layouts.set(repositoryOf(parsed.value), layout.path);
  if (layout.digest !== undefined) return ok(`oci-layout://${own}@${layout.digest}`);
  const ref = formatReference({ ...parsed.value, tag: layout.tag ?? 'latest' });
  const found = await world.images.layout(layout.path, ref, {
    platform: request.platforms[0] ?? world.buildPlatform,
    signal: world.signal,
    mode: 'local-first',
  });
  return found.ok ? ok(`oci-layout://${own}@${found.value.top.digest}`) : found;
}

/** The layout that a reference means. */
export function layoutDir(layouts: ReadonlyMap<string, string>, ref: string): string | undefined {
  const parsed = parseReference(ref);
  return parsed.ok ? layouts.get(repositoryOf(parsed.value)) : undefined;
}
