import { failure, type SourceFile } from '../base/index.ts';
import { type DockerfileFailure, detectSyntax, isOwnSyntax } from '../dockerfile/index.ts';
import type { Definition, Vertex } from '../llb/index.ts';
import type { BuildRequest } from './request.ts';

/**
 * The language of a Dockerfile is built in: any release of Docker's own front end means it, another front end (an image that
 * BuildKit would run) is refused. `BUILDKIT_SYNTAX` among the build arguments takes the place of the directive.
 */
export function foreignSyntax(
  file: SourceFile,
  buildArgs: Readonly<Record<string, string>>,
): DockerfileFailure | undefined {
  const argument = buildArgs['BUILDKIT_SYNTAX'];
  if (argument !== undefined) {
    const image = argument.split(' ', 1)[0] ?? '';
    if (isOwnSyntax(image)) return undefined;
    const refused = failure('DF035', 2, refusal(`"${image}" that BUILDKIT_SYNTAX asks for`), {
      help: 'leave the build argument BUILDKIT_SYNTAX out',
    });
    return { ...refused, locations: [] };
  }
  const directive = detectSyntax(file);
  if (directive === undefined || isOwnSyntax(directive.image)) return undefined;
  const { image, line, span } = directive;
  const refused = failure('DF035', 2, refusal(`"${image}"`), {
    help: 'write "# syntax=docker/dockerfile:1", or leave the line out',
    places: [{ file, span }],
  });
  return { ...refused, locations: [[[line, line]]] };
}

const refusal = (which: string): string =>
  `the front end ${which} is not supported: only docker/dockerfile is built in`;

/** The first step that wants a right which the request does not give (BuildKit entitlements). */
export function missingEntitlement(
  definition: Definition,
  given: BuildRequest['entitlements'],
  file: SourceFile,
): DockerfileFailure | undefined {
  for (const vertex of definition.vertices.values()) {
    const wanted = entitlementsOf(vertex).find((each) => !given.includes(each));
    if (wanted === undefined) continue;
    const [span] = vertex.metadata.spans;
    const refused = failure('DF036', 2, `entitlement ${wanted} is not allowed`, {
      help: `allow it with --allow ${wanted}`,
      ...(span === undefined ? {} : { places: [{ file, span }] }),
    });
    return { ...refused, locations: [] };
  }
  return undefined;
}

function entitlementsOf({ op }: Vertex): BuildRequest['entitlements'] {
  if (op.body.kind !== 'exec') return [];
  const { network, security } = op.body.exec;
  return [
    ...(network === 1 ? (['network.host'] as const) : []),
    ...(security === 1 ? (['security.insecure'] as const) : []),
  ];
}
