import {
  awaitAll,
  err,
  failure,
  ok,
  parseJson,
  type Result,
  type SourceFile,
} from '../base/index.ts';
import {
  createLowering,
  type ImageAnswer,
  type ImageQuestion,
  imageQuestionKey,
  type LowerAnswers,
  type LowerOutcome,
  type LowerRequest,
  type TemplateAnswer,
} from '../lower/index.ts';
import type { Platform } from '../oci/index.ts';
import { type FoundImage, type ImageResolver, ociPlatform } from '../ops/index.ts';
import { layoutDir, MAIN_CONTEXT } from './context-values.ts';
import type { BuildDeps } from './deps.ts';
import { internalStep } from './internal-step.ts';
import { opPlatform } from './platforms.ts';
import { foreignSyntax, missingEntitlement } from './policy.ts';
import { readIgnoreText, readOwnIgnoreText } from './read-dockerfile.ts';
import type { BuildRequest } from './request.ts';
import { sourceTime } from './source-time.ts';

/** What lowering came to when every question was answered. */
export type Lowered = Extract<LowerOutcome, { readonly kind: 'lowered' }>;

type LowerFailed = Extract<LowerOutcome, { readonly kind: 'failed' }>;

/** What a lowering works with. */
export interface LowerWorld {
  readonly deps: BuildDeps;
  readonly request: BuildRequest;
  readonly images: ImageResolver;
  /** Directory of each OCI layout by the repository that stands for it. */
  readonly layouts: ReadonlyMap<string, string>;
  /** Values of `--build-context` as the front end reads them. */
  readonly contexts: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** Each round answers at least one question; a file has fewer images than this. */
const MAX_ROUNDS = 1000;

/** The request for one platform as the front end takes it. */
export function lowerRequest(
  world: Pick<LowerWorld, 'deps' | 'request' | 'contexts'>,
  file: SourceFile,
  platform: Platform | undefined,
): LowerRequest {
  const { request, deps, contexts } = world;
  return {
    file,
    ...(request.target === undefined ? {} : { target: request.target }),
    buildArgs: request.buildArgs,
    ...(platform === undefined ? {} : { platform: opPlatform(platform) }),
    buildPlatform: opPlatform(deps.buildPlatform),
    multiPlatform: request.platforms.length > 1,
    labels: request.labels,
    noCache: request.noCache,
    extraHosts: request.extraHosts.map(({ host, ip }) => ({ Host: host, IP: ip })),
    ulimits: request.ulimits.map(({ name, soft, hard }) => ({
      Name: name,
      Soft: soft,
      Hard: hard,
    })),
    ...(request.shmSize === undefined ? {} : { shmSize: request.shmSize }),
    ...(request.cgroupParent === undefined ? {} : { cgroupParent: request.cgroupParent }),
    networkMode: NETWORK[request.network],
    imageResolveMode: request.pull ? 'pull' : 'default',
    contexts,
    context: request.remote?.opened?.context ?? { kind: 'local', name: MAIN_CONTEXT, session: '' },
  };
}

const NETWORK = { default: 0, host: 1, none: 2 } as const;

/** Asks the front end until it has no question left. A request that is not run needs no rights. */
export async function lowerFully(
  world: LowerWorld,
  request: LowerRequest,
  { runs }: { readonly runs: boolean } = { runs: true },
): Promise<Result<Lowered, LowerFailed>> {
  const foreign = foreignSyntax(request.file, request.buildArgs ?? {});
  if (foreign !== undefined) return err({ kind: 'failed', failure: foreign, warnings: [] });
  const images = new Map<string, ImageAnswer>();
  const ignoreFiles = new Map<string, string | undefined>();
  const templates = new Map<string, TemplateAnswer>();
  const times = new Map<string, number | undefined>();
  const answers: LowerAnswers = { images, ignoreFiles, templates, times };
  const lowering = createLowering(request);
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const outcome = lowering(answers);
    if (outcome.kind === 'lowered') return runs ? allowed(world, request, outcome) : ok(outcome);
    if (outcome.kind === 'failed') return err(outcome);
    const failed = await answer(world, outcome, { images, ignoreFiles, templates, times });
    if (!failed.ok)
      return err({ kind: 'failed', failure: { ...failed.error, locations: [] }, warnings: [] });
  }
  throw new Error('the front end keeps asking');
}

function allowed(
  { request: { entitlements } }: LowerWorld,
  { file }: LowerRequest,
  lowered: Lowered,
): Result<Lowered, LowerFailed> {
  const failure = missingEntitlement(lowered.definition, entitlements, file);
  if (failure === undefined) return ok(lowered);
  return err({ kind: 'failed', failure, warnings: lowered.warnings });
}

interface Open {
  readonly images: Map<string, ImageAnswer>;
  readonly ignoreFiles: Map<string, string | undefined>;
  readonly templates: Map<string, TemplateAnswer>;
  readonly times: Map<string, number | undefined>;
}

async function answer(
  world: LowerWorld,
  needs: Extract<LowerOutcome, { readonly kind: 'needs' }>,
  open: Open,
): Promise<Result<void>> {
  await awaitAll(
    needs.images.map(async (question) => {
      open.images.set(imageQuestionKey(question), await answerImage(world, question));
    }),
  );
  for (const name of needs.ignoreFiles) {
    const text = await ignoreText(world, name);
    if (!text.ok) return text;
    open.ignoreFiles.set(name, text.value);
  }
  for (const question of needs.times) {
    const time = await sourceTime(question, world.request, world.deps, world);
    if (!time.ok) return time;
    open.times.set(question.identifier, time.value);
  }
  for (const value of needs.templates) {
    const platform = world.request.platforms[0] ?? world.deps.buildPlatform;
    const lock = await internalStep(world.deps, `[internal] resolve template ${value}`, () =>
      world.deps.packages.lockTemplate(value, platform, world.signal),
    );
    if (!lock.ok) return lock;
    open.templates.set(value, lock.value);
  }
  return ok(undefined);
}

async function answerImage(world: LowerWorld, question: ImageQuestion): Promise<ImageAnswer> {
  const found = await internalStep(world.deps, question.name, () => findImage(world, question));
  if (!found.ok) return { ok: false, failure: found.error };
  const config = parseJson(Buffer.from(found.value.config).toString('utf8'));
  if (!config.ok)
    return {
      ok: false,
      failure: failure(
        'RG012',
        3,
        `${question.ref}: its configuration is not JSON: ${config.error}`,
      ),
    };
  return { ok: true, digest: found.value.top.digest, config: config.value };
}

async function findImage(world: LowerWorld, question: ImageQuestion): Promise<Result<FoundImage>> {
  const options = {
    platform: ociPlatform(question.platform),
    signal: world.signal,
    mode: world.request.pull ? ('registry' as const) : ('local-first' as const),
  };
  if (question.store === 'registry') return await world.images.image(question.ref, options);
  const dir = layoutDir(world.layouts, question.ref);
  return dir === undefined
    ? err(failure('GR011', 2, `no OCI layout was given for ${question.ref}`))
    : await world.images.layout(dir, question.ref, options);
}

async function ignoreText(world: LowerWorld, name: string): Promise<Result<string | undefined>> {
  const { request, deps, signal } = world;
  const report = { emit: deps.emit, clock: deps.clock, signal };
  if (name === MAIN_CONTEXT)
    return request.contextKind === 'directory'
      ? await readIgnoreText(request.dockerfile, request.context, report)
      : ok(undefined);
  const context = request.namedContexts.get(name);
  return context?.kind === 'local'
    ? await readOwnIgnoreText(context.source, { ...report, name })
    : ok(undefined);
}
