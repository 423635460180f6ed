import { type GoJson, proxyWithoutCredentials, withoutCredentials } from '../base/index.ts';
import { descriptorJson, formatPlatform } from '../oci/index.ts';
import { type Material, materials } from './materials.ts';
import {
  buildConfig,
  isHermetic,
  namedSecrets,
  namedSteps,
  readsLocal,
  sourceMap,
} from './steps.ts';
import type { BuildFacts, NamedSecret, ProvenanceOptions } from './types.ts';

/** The type of a provenance predicate. */
export const PROVENANCE_TYPE = {
  v1: 'https://slsa.dev/provenance/v1',
  'v0.2': 'https://slsa.dev/provenance/v0.2',
} as const;

/** What BuildKit calls this kind of build; the fields below mean what they mean there. */
const BUILD_TYPE = {
  v1: 'https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md',
  'v0.2': 'https://mobyproject.org/buildkit@v1',
} as const;

/** A provenance predicate of SLSA, filled in as BuildKit fills it in (its docs/attestations/slsa-definitions.md). */
export function provenance(facts: BuildFacts, options: ProvenanceOptions): GoJson {
  const found = materials(facts);
  const all =
    facts.configSource === undefined || found.some((m) => m.uri === facts.configSource?.uri)
      ? found
      : [facts.configSource, ...found];
  return options.version === 'v1'
    ? predicateV1(facts, options, all)
    : predicateV02(facts, options, all);
}

function predicateV1(
  facts: BuildFacts,
  options: ProvenanceOptions,
  dependencies: readonly Material[],
): GoJson {
  const { definition, configSource, configPath } = facts;
  const max = options.mode === 'max';
  return {
    buildDefinition: {
      buildType: BUILD_TYPE.v1,
      externalParameters: {
        configSource: { ...sourceJson(configSource), path: configPath },
        request: parameters(facts, max),
      },
      internalParameters: {
        ...(max ? { buildConfig: buildConfig(definition) } : {}),
        builderPlatform: formatPlatform(facts.builderPlatform),
      },
      resolvedDependencies: dependencies.map(materialJson),
    },
    runDetails: {
      builder: { id: options.builderId },
      metadata: {
        invocationId: facts.invocation,
        startedOn: instant(facts.startedAt),
        finishedOn: instant(facts.finishedAt),
        buildkit_metadata: extra(facts, max),
        buildkit_hermetic: isHermetic(definition),
        buildkit_completeness: { request: max, resolvedDependencies: isTracked(facts) },
        buildkit_reproducible: options.reproducible,
      },
    },
  };
}

function predicateV02(
  facts: BuildFacts,
  options: ProvenanceOptions,
  found: readonly Material[],
): GoJson {
  const { definition, configSource, configPath } = facts;
  const max = options.mode === 'max';
  return {
    builder: { id: options.builderId },
    buildType: BUILD_TYPE['v0.2'],
    materials: found.map(materialJson),
    invocation: {
      configSource: { ...sourceJson(configSource), entryPoint: configPath },
      parameters: parameters(facts, max),
      environment: { platform: formatPlatform(facts.builderPlatform) },
    },
    ...(max ? { buildConfig: buildConfig(definition) } : {}),
    metadata: {
      buildInvocationID: facts.invocation,
      buildStartedOn: instant(facts.startedAt),
      buildFinishedOn: instant(facts.finishedAt),
      completeness: { parameters: max, environment: true, materials: isTracked(facts) },
      reproducible: options.reproducible,
      'https://mobyproject.org/buildkit@v1#hermetic': isHermetic(definition),
      'https://mobyproject.org/buildkit@v1#metadata': extra(facts, max),
    },
  };
}

/** Without `max`, nothing that the person who built chose to say: no value of an argument or label, no name of a secret. */
function parameters({ args, definition, locals }: BuildFacts, max: boolean): GoJson {
  const named = namedSecrets(definition);
  const kept = Object.entries(args).filter(([key]) => max || !/^(?:build-arg|label):/.test(key));
  const secrets = (list: readonly NamedSecret[]): GoJson =>
    list.map(({ id, optional }) => (optional ? { id, optional } : { id }));
  return {
    frontend: 'dockerfile.v0',
    args: Object.fromEntries(
      kept.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => [key, shown(key, value)]),
    ),
    ...(max && named.secrets.length > 0 ? { secrets: secrets(named.secrets) } : {}),
    ...(max && named.ssh.length > 0 ? { ssh: secrets(named.ssh) } : {}),
    ...(locals.length === 0 ? {} : { locals: locals.map((name) => ({ name })) }),
  };
}

/** An argument without the credentials of the addresses in it, and of a proxy. */
const shown = (key: string, value: string): string =>
  /^build-arg:\w+_proxy$/i.test(key) ? proxyWithoutCredentials(value) : withoutCredentials(value);

function extra({ definition, dockerfile, layers }: BuildFacts, max: boolean): GoJson {
  const { result } = definition;
  const step = result === undefined ? undefined : namedSteps(definition).get(result.digest);
  return {
    ...(max ? { source: sourceMap(definition, dockerfile) } : {}),
    ...(max && step !== undefined && layers !== undefined
      ? { layers: { [`${step}:${result?.index ?? 0}`]: [layers.map(descriptorJson)] } }
      : {}),
  };
}

/** Whether everything that took part has an address and a digest. */
const isTracked = ({ definition, locals }: BuildFacts): boolean =>
  locals.length === 0 && !readsLocal(definition);

const sourceJson = (source: BuildFacts['configSource']): Record<string, GoJson> =>
  source === undefined ? {} : { uri: source.uri, digest: { ...source.digest } };

const materialJson = ({ uri, digest }: Material): GoJson =>
  Object.keys(digest).length === 0 ? { uri } : { uri, digest: { ...digest } };

const instant = (ms: number): string => new Date(ms).toISOString();
