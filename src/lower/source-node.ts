import { byCodeUnit, byUtf8 } from '../base/index.ts';
import type { OpMetadata, OpPlatform, SourceOp } from '../llb/index.ts';
import type { LazyOutput } from './lazy-graph.ts';

/** A source op; images say their platform, other sources have none. */
export function sourceNode(
  identifier: string,
  options: {
    readonly attrs?: Readonly<Record<string, string>>;
    readonly platform?: OpPlatform;
    readonly metadata: Partial<OpMetadata>;
  },
): LazyOutput {
  const { attrs = {}, platform, metadata } = options;
  return {
    node: {
      before: [],
      build: () => ({
        inputs: [],
        body: { kind: 'source', source: { identifier, attrs } },
        ...(platform === undefined ? {} : { platform }),
        constraints: [],
      }),
      metadata,
    },
    index: 0,
  };
}

/** What a source op says. */
export function sourceOf({ node }: LazyOutput): SourceOp {
  const { body } = node.build(() => {
    throw new Error('a source has no inputs');
  });
  if (body.kind !== 'source') throw new Error(`a source, not a ${body.kind}`);
  return body.source;
}

/**
 * A local directory as a source. `paths` is asked when the graph is encoded, since only then all instructions are known;
 * no path means all of it.
 */
export function localNode(options: {
  readonly name: string;
  readonly session: string;
  readonly shownName: string;
  readonly excludes: readonly string[];
  readonly paths: () => readonly string[];
}): LazyOutput {
  const { name, session, excludes } = options;
  const attrs = (): Record<string, string> => {
    const paths = options.paths();
    return {
      ...(session === '' ? {} : { 'local.session': session }),
      'local.sharedkeyhint': name,
      ...(excludes.length === 0 ? {} : { 'local.excludepatterns': JSON.stringify(excludes) }),
      ...(paths.length === 0 ? {} : { 'local.followpaths': JSON.stringify(paths) }),
    };
  };
  const caps = (): string[] => {
    const has = attrs();
    const optional = {
      'source.local.excludepatterns': 'local.excludepatterns',
      'source.local.followpaths': 'local.followpaths',
      'source.local.sessionid': 'local.session',
    };
    const used = Object.entries(optional).flatMap(([cap, attr]) => (attr in has ? [cap] : []));
    return ['source.local', 'source.local.sharedkeyhint', ...used].sort(byCodeUnit);
  };
  return {
    node: {
      before: [],
      build: () => ({
        inputs: [],
        body: { kind: 'source', source: { identifier: `local://${name}`, attrs: attrs() } },
        constraints: [],
      }),
      // Read when the graph is encoded, as `build` is.
      get metadata() {
        return { description: { 'llb.customname': options.shownName }, caps: caps() };
      },
    },
    index: 0,
  };
}

/** Paths of a context in the form of `local.followpaths`; empty when all of it is needed. */
export function followPaths(paths: ReadonlySet<string>): readonly string[] {
  if (paths.has('/')) return [];
  const relative = [...paths].map((p) => p.replace(/^\/+/, ''));
  return relative.sort(byUtf8);
}
