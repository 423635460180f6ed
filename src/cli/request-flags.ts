import { arch } from 'node:os';
import { err, failure, ok, type Result } from '../base/index.ts';
import type { BuildRequest, OutputSpec } from '../build/index.ts';
import { hostPlatform, normaliseReference } from '../oci/index.ts';
import type { Options } from './build-request.ts';
import { annotationAttrs, attestFlags, withAttrs } from './flags/attest.ts';
import { cacheFromFlag, cacheToFlag } from './flags/cache.ts';
import { usage } from './flags/csv.ts';
import { buildLimits, limitsByName, stepLimits } from './flags/limits.ts';
import { outputFlag } from './flags/output.ts';
import { secretFlag, sshFlag } from './flags/secrets.ts';
import { byteSize, extraHost, keyValues, platform, ulimit } from './flags/values.ts';
import type { Io } from './io.ts';
import { openSecrets } from './secrets.ts';

/** What flags alone decide; nothing of it is a context. */
export type Flags = Pick<
  BuildRequest,
  | 'buildArgs'
  | 'labels'
  | 'platforms'
  | 'extraHosts'
  | 'network'
  | 'entitlements'
  | 'ulimits'
  | 'limits'
  | 'limitsByName'
  | 'buildLimits'
  | 'secrets'
  | 'tags'
  | 'outputs'
  | 'cacheFrom'
  | 'cacheTo'
  | 'shmSize'
  | 'attestations'
>;

/** Reads the flags of a command that builds. Secrets are opened. */
export function parseFlags(io: Io, options: Options): Result<Flags> {
  // As docker buildx does; what is said on the command line comes later and wins.
  const epoch = (io.env['SOURCE_DATE_EPOCH'] ?? '') === '' ? [] : ['SOURCE_DATE_EPOCH'];
  const given = [...epoch, ...options.list('buildArg')];
  const buildArgs = keyValues('--build-arg', given, io.env);
  if (!buildArgs.ok) return buildArgs;
  const labels = keyValues('--label', options.list('label'), undefined);
  if (!labels.ok) return labels;
  const platforms = all(
    options.list('platform').flatMap((v) => v.split(',')),
    (v) => platform('--platform', v, hostPlatform(arch())),
  );
  if (!platforms.ok) return platforms;
  const extraHosts = all(options.list('addHost'), (v) => extraHost('--add-host', v));
  if (!extraHosts.ok) return extraHosts;
  const ulimits = all(options.list('ulimit'), (v) => ulimit('--ulimit', v));
  if (!ulimits.ok) return ulimits;
  const secretSources = all(options.list('secret'), (v) => secretFlag(v, io.env));
  if (!secretSources.ok) return secretSources;
  const agents = all(options.list('ssh'), sshFlag);
  if (!agents.ok) return agents;
  const secrets = openSecrets(io, secretSources.value, agents.value);
  if (!secrets.ok) return secrets;
  const tags = all(options.list('tag'), imageName);
  if (!tags.ok) return tags;
  const plain = outputSpecs(io, options);
  if (!plain.ok) return plain;
  const annotations = all(options.list('annotation'), annotationAttrs);
  if (!annotations.ok) return annotations;
  const outputs = withAttrs(plain.value, new Map(annotations.value.flatMap((attrs) => [...attrs])));
  const attestations = attestFlags({
    attest: options.list('attest'),
    provenance: options.text('provenance'),
    sbom: options.text('sbom'),
  });
  if (!attestations.ok) return attestations;
  const cacheFrom = all(options.list('cacheFrom'), (v) => cacheFromFlag(v, io));
  if (!cacheFrom.ok) return cacheFrom;
  const cacheTo = all(options.list('cacheTo'), (v) => cacheToFlag(v, io));
  if (!cacheTo.ok) return cacheTo;
  const network = networkMode(options.text('network'));
  if (!network.ok) return network;
  const entitlements = all(options.list('allow'), entitlement);
  if (!entitlements.ok) return entitlements;
  const limits = stepLimits((name) => options.text(name));
  if (!limits.ok) return limits;
  const together = buildLimits((name) => options.text(name));
  if (!together.ok) return together;
  const byName = all(options.list('stepLimit'), limitsByName);
  if (!byName.ok) return byName;
  const shm = options.text('shmSize');
  const shmSize = shm === undefined ? ok(undefined) : byteSize('--shm-size', shm);
  if (!shmSize.ok) return shmSize;
  return ok({
    buildArgs: buildArgs.value,
    labels: labels.value,
    platforms: platforms.value,
    extraHosts: extraHosts.value,
    ulimits: ulimits.value,
    secrets: secrets.value,
    tags: tags.value,
    outputs,
    cacheFrom: cacheFrom.value.flat(),
    cacheTo: cacheTo.value,
    network: network.value,
    entitlements: entitlements.value,
    limits: limits.value,
    limitsByName: byName.value,
    ...(together.value === undefined ? {} : { buildLimits: together.value }),
    ...(shmSize.value === undefined ? {} : { shmSize: shmSize.value }),
    ...(attestations.value === undefined ? {} : { attestations: attestations.value }),
  });
}

function all<T>(
  values: readonly string[],
  parse: (value: string) => Result<T>,
): Result<readonly T[]> {
  const out: T[] = [];
  for (const value of values) {
    const parsed = parse(value);
    if (!parsed.ok) return parsed;
    out.push(parsed.value);
  }
  return ok(out);
}

function imageName(text: string): Result<string> {
  const name = normaliseReference(text);
  if (name.ok) return ok(name.value);
  return usage('--tag', text, 'not an image name', 'write [registry/]name[:tag]');
}

/** What is asked for; without `--output` an image in the store. */
export function outputSpecs(io: Io, options: Options): Result<readonly OutputSpec[]> {
  const outputs = all(options.list('output'), (v) => outputFlag(v, io.cwd));
  if (!outputs.ok) return outputs;
  const specs = [...outputs.value];
  if (options.is('push')) specs.push({ type: 'registry', attrs: new Map() });
  if (options.is('load')) specs.push({ type: 'docker', attrs: new Map([['load', 'true']]) });
  if (specs.length === 0) specs.push({ type: 'image', attrs: new Map() });
  if (specs.filter((s) => s.dest === '-').length > 1)
    return err(failure('CL002', 2, '--output: standard output can take one result only'));
  return ok(specs);
}

function networkMode(text: string | undefined): Result<BuildRequest['network']> {
  switch (text) {
    case undefined:
    case '':
    case 'default':
    case 'sandbox':
      return ok('default');
    case 'none':
    case 'host':
      return ok(text);
    default:
      return usage('--network', text, 'unknown mode', 'known modes: default, none, host');
  }
}

function entitlement(text: string): Result<BuildRequest['entitlements'][number]> {
  if (text === 'network.host' || text === 'security.insecure') return ok(text);
  return usage('--allow', text, 'unknown entitlement', 'known: network.host, security.insecure');
}
