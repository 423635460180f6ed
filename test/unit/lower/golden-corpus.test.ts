import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { HostIp, OpPlatform, Ulimit } from '../../../src/llb/index.ts';
import { encodeOp, parsePlatform, terminalOp } from '../../../src/llb/index.ts';
import {
  createLowering,
  type ImageAnswer,
  imageQuestionKey,
  type LowerAnswers,
  type LowerOutcome,
  type LowerRequest,
  lower,
} from '../../../src/lower/index.ts';
import { GOLDEN, goldenJson, goldenNames, needsGolden, note } from '../../rig/golden.ts';

interface GoldenWarning {
  readonly rule: string;
  readonly text: string;
  readonly lines: readonly unknown[];
}

interface Golden {
  readonly error: { readonly text: string; readonly locations?: unknown } | null;
  readonly parseError?: unknown;
  readonly image?: unknown;
  readonly llb:
    | readonly {
        readonly pb: string;
        readonly metadata: {
          readonly description?: Readonly<Record<string, string>>;
          readonly caps?: Readonly<Record<string, boolean>>;
          readonly ignoreCache?: boolean;
          readonly progressGroup?: { readonly name: string; readonly weak: boolean };
        };
      }[]
    | null;
  readonly warnings: readonly GoldenWarning[] | null;
  readonly check?: readonly GoldenWarning[] | null;
}

const host: OpPlatform = { OS: 'linux', Architecture: 'amd64' };

interface Resolver {
  readonly config: Readonly<Record<string, unknown>> & { readonly config: object };
  readonly 'references containing /onbuild-base': { readonly 'config additions': object };
}

function answer(resolver: Resolver, ref: string, platform: OpPlatform): ImageAnswer {
  const digest = `sha256:${createHash('sha256').update(ref).digest('hex')}`;
  const extra = ref.includes('/onbuild-base')
    ? resolver['references containing /onbuild-base']['config additions']
    : {};
  const config = {
    ...resolver.config,
    architecture: platform.Architecture,
    os: platform.OS,
    ...(platform.Variant === undefined ? {} : { variant: platform.Variant }),
    config: { ...resolver.config.config, ...extra },
  };
  return { ok: true, digest, config };
}

function requestOf(folder: string, opts: Readonly<Record<string, string>>): LowerRequest {
  const text = readFileSync(join(GOLDEN ?? '', folder, 'Dockerfile'), 'utf8');
  const pick = (prefix: string): Record<string, string> =>
    Object.fromEntries(
      Object.entries(opts).flatMap(([k, v]) =>
        k.startsWith(prefix) ? [[k.slice(prefix.length), v] as const] : [],
      ),
    );
  const platform = parsePlatform(opts['platform'] ?? 'linux/amd64', host);
  if (!platform.ok) throw new Error(platform.error);
  const hosts = (opts['add-hosts'] ?? '').split(',').filter((h) => h !== '');
  const ulimits = (opts['ulimit'] ?? '').split(',').filter((u) => u !== '');
  const noCache = opts['no-cache'];
  return {
    file: { path: 'Dockerfile', text },
    buildArgs: pick('build-arg:'),
    labels: pick('label:'),
    ...(opts['target'] === undefined ? {} : { target: opts['target'] }),
    platform: platform.value,
    buildPlatform: host,
    multiPlatform: opts['multi-platform'] === 'true',
    ...(noCache === undefined ? {} : { noCache: noCache === '' ? 'all' : noCache.split(',') }),
    extraHosts: hosts.map((h): HostIp => {
      const [Host = '', IP = ''] = h.split('=');
      return { Host, IP };
    }),
    ulimits: ulimits.map((u): Ulimit => {
      const [Name = '', limits = ''] = u.split('=');
      const [soft = '', hard = soft] = limits.split(':');
      return { Name, Soft: Number(soft), Hard: Number(hard) };
    }),
    shmSize: Number(opts['shm-size'] ?? 0),
    cgroupParent: opts['cgroup-parent'] ?? '',
    hostname: opts['hostname'] ?? '',
    networkMode: opts['force-network-mode'] === 'none' ? 2 : 0,
    context: { kind: 'local', name: 'context', session: 'golden-session' },
  };
}

function run(request: LowerRequest, resolver: Resolver, ignore: string | undefined): LowerOutcome {
  const images = new Map<string, ImageAnswer>();
  const ignoreFiles = new Map<string, string | undefined>();
  const answers: LowerAnswers = { images, ignoreFiles };
  const lowering = createLowering(request);
  for (;;) {
    const outcome = lowering(answers);
    if (outcome.kind !== 'needs') {
      // All answers at once give what one after the other gave.
      assert.deepEqual(outcome, lower(request, answers));
      return outcome;
    }
    for (const name of outcome.ignoreFiles) ignoreFiles.set(name, ignore);
    for (const q of outcome.images)
      images.set(imageQuestionKey(q), answer(resolver, q.ref, q.platform));
  }
}

const stable = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(stable);
  if (typeof value !== 'object' || value === null) return value;
  const pairs = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(pairs.map(([k, v]) => [k, stable(v)]));
};
const text = (value: unknown): string => JSON.stringify(stable(value));

const each = ([first, last]: readonly [number, number]): unknown[] =>
  Array.from({ length: Math.max(first, last) - first + 1 }, (_, i) => [first + i, first + i]);

function warningsOf(outcome: LowerOutcome): string[] {
  if (outcome.kind === 'needs') return [];
  return outcome.warnings
    .filter((w) => w.rule !== HARNESS_CANNOT)
    .map((w) => text([w.rule, w.message, each(w.lines)]))
    .sort();
}

// The golden data was made without a client, so BuildKit's frontend had no ignore file to warn by.
const HARNESS_CANNOT = 'CopyIgnoredFile';

const goldenWarnings = (list: readonly GoldenWarning[] | null | undefined): string[] =>
  (list ?? []).map((w) => text([w.rule, w.text, w.lines])).sort();

type Problems = Record<'error' | 'pb' | 'metadata' | 'image' | 'warnings' | 'check', string[]>;

function compare(name: string, golden: Golden, outcome: LowerOutcome, problems: Problems): void {
  const error = outcome.kind === 'failed' ? outcome.failure.message : undefined;
  if (error !== golden.error?.text) {
    problems.error.push(`${name}: got ${error ?? 'none'}, want ${golden.error?.text ?? 'none'}`);
    return;
  }
  if (outcome.kind === 'failed') {
    const locations = text(outcome.failure.locations);
    if (locations !== text(golden.error?.locations ?? []))
      problems.error.push(
        `${name}: at ${locations}, want ${text(golden.error?.locations)} (${error ?? ''})`,
      );
  }
  if (text(warningsOf(outcome)) !== text(goldenWarnings(golden.warnings)))
    problems.warnings.push(
      `${name}:\n  got  ${text(warningsOf(outcome))}\n  want ${text(goldenWarnings(golden.warnings))}`,
    );
  if (outcome.kind !== 'lowered') return;
  const vertices = [...outcome.definition.vertices.values()];
  const got = vertices.map((v) => Buffer.from(v.pb).toString('base64'));
  const { result } = outcome.definition;
  if (result !== undefined) got.push(Buffer.from(encodeOp(terminalOp(result))).toString('base64'));
  const want = (golden.llb ?? []).map((l) => l.pb);
  const at = want.findIndex((pb, i) => pb !== got[i]);
  if (at !== -1 || got.length !== want.length)
    problems.pb.push(
      `${name}: op ${at} of ${got.length}/${want.length}:\n  got  ${decode(got[at])}\n  want ${decode(want[at])}`,
    );
  vertices.forEach((v, i) => {
    const meta = golden.llb?.[i]?.metadata;
    const mine = {
      description: v.metadata.description,
      caps: [...v.metadata.caps],
      ignoreCache: v.metadata.ignoreCache,
      group: v.metadata.progressGroup && [
        v.metadata.progressGroup.name,
        v.metadata.progressGroup.weak,
      ],
    };
    const theirs = {
      description: meta?.description ?? {},
      caps: Object.keys(meta?.caps ?? {}).sort(),
      ignoreCache: meta?.ignoreCache ?? false,
      group: meta?.progressGroup && [meta.progressGroup.name, meta.progressGroup.weak],
    };
    if (text(mine) !== text(theirs))
      problems.metadata.push(`${name} op ${i}:\n  got  ${text(mine)}\n  want ${text(theirs)}`);
  });
  if (text(JSON.parse(outcome.imageText)) !== text(golden.image))
    problems.image.push(
      `${name}:\n  got  ${text(JSON.parse(outcome.imageText))}\n  want ${text(golden.image)}`,
    );
}

const decode = (pb: string | undefined): string =>
  pb === undefined ? 'nothing' : JSON.stringify(Buffer.from(pb, 'base64').toString('latin1'));

for (const folder of ['corpus', 'corpus-features']) {
  test(`${folder}: ops, images, errors and warnings are those of BuildKit`, needsGolden, () => {
    const resolver = goldenJson<Resolver>('resolver.json');
    const problems: Problems = {
      error: [],
      pb: [],
      metadata: [],
      image: [],
      warnings: [],
      check: [],
    };
    const names = goldenNames(folder).filter((n) => n !== 'index.json');
    for (const name of names) {
      const path = `${folder}/${name}`;
      const has = (file: string): boolean => existsSync(join(GOLDEN ?? '', path, file));
      const opts = has('opts.json') ? goldenJson<Record<string, string>>(`${path}/opts.json`) : {};
      const ignore = has('dockerignore')
        ? readFileSync(join(GOLDEN ?? '', path, 'dockerignore'), 'utf8')
        : undefined;
      const golden = goldenJson<Golden>(`${path}/golden.json`);
      const request = requestOf(path, opts);
      compare(path, golden, run(request, resolver, ignore), problems);
      const check = run({ ...request, allStages: true }, resolver, ignore);
      if (golden.check && text(warningsOf(check)) !== text(goldenWarnings(golden.check)))
        problems.check.push(
          `${path}:\n  got  ${text(warningsOf(check))}\n  want ${text(goldenWarnings(golden.check))}`,
        );
    }
    for (const [kind, list] of Object.entries(problems)) {
      const failed = new Set(list.map((p) => p.split(/[ :]/, 1)[0]));
      note(`${folder} ${kind}: ${names.length - failed.size} of ${names.length} equal`);
    }
    assert.deepEqual(Object.values(problems).flat(), []);
  });
}
