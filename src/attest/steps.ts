import {
  coveredCredentials,
  type Digest,
  type GoJson,
  positionAt,
  redact,
  type SourceFile,
  type Span,
} from '../base/index.ts';
import { type Definition, type Op, opJson, opWithoutCredentials } from '../llb/index.ts';
import type { NamedSecret } from './types.ts';

/** The steps of a definition by the names that a provenance gives them, inputs first; the last one only names the result. */
export function namedSteps(definition: Definition): ReadonlyMap<Digest, string> {
  return new Map([...definition.vertices.keys()].map((digest, i) => [digest, `step${i}`]));
}

/** `buildConfig` (BuildKit solver/llbsolver/provenance, `BuildConfig`): every op as JSON, with its inputs by name. */
export function buildConfig(definition: Definition): GoJson {
  const names = namedSteps(definition);
  const input = ({ digest, index }: { readonly digest: Digest; readonly index: number }): string =>
    `${names.get(digest) ?? ''}:${index}`;
  const steps: GoJson[] = [...definition.vertices.values()].map(({ digest, op }) => ({
    id: names.get(digest) ?? '',
    op: stepJson(op),
    ...(op.inputs.length === 0 ? {} : { inputs: op.inputs.map(input) }),
  }));
  const { result } = definition;
  if (result !== undefined) steps.push({ id: `step${steps.length}`, inputs: [input(result)] });
  return { llbDefinition: steps, digestMapping: Object.fromEntries(names) };
}

/** The op without its inputs, which stand beside it under their names, and without credentials in addresses. */
function stepJson(op: Op): GoJson {
  const { body } = op;
  if (body.kind !== 'source') return opJson({ ...opWithoutCredentials(op), inputs: [] });
  const { identifier, attrs } = body.source;
  const source = {
    identifier: plainAddress(identifier),
    attrs: Object.fromEntries(Object.entries(attrs).map(([k, v]) => [k, plainAddress(v)])),
  };
  return opJson({ ...op, inputs: [], body: { kind: 'source', source } });
}

const plainAddress = (text: string): string =>
  URL.canParse(text) && /^[a-z]+:\/\/[^/?#]*@/.test(text) && !text.startsWith('docker-image:')
    ? redact(text)
    : text;

/** `source`: the Dockerfile, and which lines of it each step was made of. */
export function sourceMap(definition: Definition, file: SourceFile): GoJson {
  const names = namedSteps(definition);
  const locations = [...definition.vertices.values()].flatMap(({ digest, metadata }) =>
    metadata.spans.length === 0
      ? []
      : [
          [
            names.get(digest) ?? '',
            { locations: [{ ranges: metadata.spans.map((span) => range(file.text, span)) }] },
          ] as const,
        ],
  );
  return {
    locations: Object.fromEntries(locations),
    infos: [
      {
        filename: file.path,
        language: 'Dockerfile',
        data: Buffer.from(coveredCredentials(file.text)).toString('base64'),
      },
    ],
  };
}

function range(text: string, { offset, length }: Span): GoJson {
  const from = positionAt(text, offset);
  const to = positionAt(text, offset + Math.max(0, length - 1));
  return { start: { line: from.line }, end: { line: to.line } };
}

/** Secrets and agents that the steps of a definition mount, each once, by name. */
export function namedSecrets(definition: Definition): {
  readonly secrets: readonly NamedSecret[];
  readonly ssh: readonly NamedSecret[];
} {
  const secrets = new Map<string, boolean>();
  const ssh = new Map<string, boolean>();
  // What one step must have is not optional, whatever others say.
  const note = (map: Map<string, boolean>, id: string, optional: boolean): unknown =>
    map.set(id, optional && map.get(id) !== false);
  for (const { op } of definition.vertices.values()) {
    const { body } = op;
    if (body.kind === 'exec') {
      for (const mount of body.exec.mounts) {
        if (mount.secretOpt !== undefined)
          note(secrets, mount.secretOpt.ID, mount.secretOpt.optional);
        if (mount.SSHOpt !== undefined) note(ssh, mount.SSHOpt.ID, mount.SSHOpt.optional);
      }
      for (const { ID, optional } of body.exec.secretenv) note(secrets, ID, optional);
    } else if (body.kind === 'source') {
      const { attrs } = body.source;
      for (const name of SECRET_ATTRS)
        if (attrs[name] !== undefined) note(secrets, attrs[name], true);
      if (attrs['git.mountsshsock'] !== undefined) note(ssh, attrs['git.mountsshsock'], false);
    }
  }
  return { secrets: listed(secrets), ssh: listed(ssh) };
}

const SECRET_ATTRS = ['git.authheadersecret', 'git.authtokensecret', 'http.authheadersecret'];

const listed = (map: ReadonlyMap<string, boolean>): readonly NamedSecret[] =>
  [...map].sort(([a], [b]) => (a < b ? -1 : 1)).map(([id, optional]) => ({ id, optional }));

/** Whether no step could reach a network (`buildkit_hermetic`). */
export function isHermetic(definition: Definition): boolean {
  return [...definition.vertices.values()].every(
    ({ op }) => op.body.kind !== 'exec' || op.body.exec.network === NO_NETWORK,
  );
}

const NO_NETWORK = 2;

/** Whether a definition reads directories of this machine, of which nothing can be said. */
export function readsLocal(definition: Definition): boolean {
  return [...definition.vertices.values()].some(
    ({ op }) => op.body.kind === 'source' && op.body.source.identifier.startsWith('local://'),
  );
}
