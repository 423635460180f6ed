import { byUtf8, type GoJson, goJson, isRecord } from '../base/index.ts';
import type { Health } from '../dockerfile/index.ts';
import type { OpPlatform } from '../llb/index.ts';
import { ImageEnv } from './image-env.ts';

/** One entry of an image's history (OCI image-spec, config.md). */
export interface HistoryEntry {
  readonly created?: string;
  readonly created_by?: string;
  readonly author?: string;
  readonly comment?: string;
  readonly empty_layer?: boolean;
}

/**
 * The execution part of an image configuration with Docker's extensions. What instructions add to one by one grows in place
 * and belongs to one image; other lists are replaced.
 */
export interface ExecConfig {
  User: string;
  ExposedPorts: Set<string>;
  Env: ImageEnv;
  /** Undefined and empty differ: Go writes neither, but a CMD of a base is inherited unless it was set. */
  Entrypoint: readonly string[];
  Cmd: readonly string[];
  Volumes: Set<string>;
  WorkingDir: string;
  Labels: Map<string, string>;
  StopSignal: string;
  ArgsEscaped: boolean;
  Healthcheck: Health | undefined;
  OnBuild: string[];
  Shell: readonly string[];
}

/** An image configuration as BuildKit's Dockerfile frontend keeps it (moby `dockerspec.DockerOCIImage`). */
export interface ImageConfig {
  created: string;
  author: string;
  platform: OpPlatform;
  rootfs: { readonly type: string; readonly diff_ids: readonly string[] | null };
  /** Grows in place: it belongs to one image. */
  history: HistoryEntry[];
  config: ExecConfig;
}

const noConfig = (): ExecConfig => ({
  User: '',
  ExposedPorts: new Set(),
  Env: new ImageEnv([]),
  Entrypoint: [],
  Cmd: [],
  Volumes: new Set(),
  WorkingDir: '',
  Labels: new Map(),
  StopSignal: '',
  ArgsEscaped: false,
  Healthcheck: undefined,
  OnBuild: [],
  Shell: [],
});

/** `PATH` where an image sets none. */
export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The configuration of `FROM scratch`. */
export function emptyImage(platform: OpPlatform): ImageConfig {
  const Env = platform.OS === 'windows' ? [] : [`PATH=${DEFAULT_PATH}`];
  return {
    created: '',
    author: '',
    platform,
    rootfs: { type: 'layers', diff_ids: null },
    history: [],
    config: { ...noConfig(), Env: new ImageEnv(Env), WorkingDir: '/' },
  };
}

/** Copies what instructions change. */
export function cloneImage(image: ImageConfig): ImageConfig {
  const { config, history } = image;
  return {
    ...image,
    history: [...history],
    config: {
      ...config,
      ExposedPorts: new Set(config.ExposedPorts),
      Env: new ImageEnv(config.Env.lines),
      Volumes: new Set(config.Volumes),
      Labels: new Map(config.Labels),
      OnBuild: [...config.OnBuild],
    },
  };
}

/** About how many characters a copy of an image has. */
export function imageSize({ history, config }: ImageConfig): number {
  let size = 0;
  for (const { created_by = '' } of history) size += HISTORY_ENTRY + created_by.length;
  for (const line of config.Env.lines) size += line.length;
  for (const [name, value] of config.Labels) size += name.length + value.length;
  return size + PORT * config.ExposedPorts.size + PATH * config.Volumes.size;
}

/** What the other members of an entry, a port and a path take, about. */
const HISTORY_ENTRY = 64;
const PORT = 16;
const PATH = 32;

const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const texts = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((v) => typeof v === 'string') : [];
const keys = (value: unknown): Set<string> => new Set(isRecord(value) ? Object.keys(value) : []);
const whole = (value: unknown): number => (typeof value === 'number' ? value : 0);

/** Reads an image configuration; what the frontend does not know is dropped, as Go's decoder does. */
export function decodeImage(value: unknown): ImageConfig | undefined {
  if (!isRecord(value)) return undefined;
  const rootfs = isRecord(value['rootfs']) ? value['rootfs'] : {};
  const diffIds = rootfs['diff_ids'];
  const history = Array.isArray(value['history']) ? value['history'] : [];
  const [version, features] = [text(value['os.version']), texts(value['os.features'])];
  const variant = text(value['variant']);
  return {
    created: text(value['created']),
    author: text(value['author']),
    platform: {
      Architecture: text(value['architecture']),
      OS: text(value['os']),
      ...(variant === '' ? {} : { Variant: variant }),
      ...(version === '' ? {} : { OSVersion: version }),
      ...(features.length === 0 ? {} : { OSFeatures: features }),
    },
    rootfs: {
      type: text(rootfs['type']),
      diff_ids: Array.isArray(diffIds) ? texts(diffIds) : null,
    },
    history: history.filter(isRecord).map(decodeHistory),
    config: decodeConfig(isRecord(value['config']) ? value['config'] : {}),
  };
}

function decodeHistory(h: Readonly<Record<string, unknown>>): HistoryEntry {
  const entry = (['created', 'created_by', 'author', 'comment'] as const)
    .filter((k) => text(h[k]) !== '')
    .map((k) => [k, text(h[k])] as const);
  return {
    ...Object.fromEntries(entry),
    ...(h['empty_layer'] === true ? { empty_layer: true } : {}),
  };
}

function decodeConfig(c: Readonly<Record<string, unknown>>): ExecConfig {
  const labels = isRecord(c['Labels']) ? Object.entries(c['Labels']) : [];
  return {
    User: text(c['User']),
    ExposedPorts: keys(c['ExposedPorts']),
    Env: new ImageEnv(texts(c['Env'])),
    Entrypoint: texts(c['Entrypoint']),
    Cmd: texts(c['Cmd']),
    Volumes: keys(c['Volumes']),
    WorkingDir: text(c['WorkingDir']),
    Labels: new Map(labels.map(([k, v]) => [k, text(v)])),
    StopSignal: text(c['StopSignal']),
    ArgsEscaped: c['ArgsEscaped'] === true,
    Healthcheck: isRecord(c['Healthcheck']) ? decodeHealth(c['Healthcheck']) : undefined,
    OnBuild: texts(c['OnBuild']),
    Shell: texts(c['Shell']),
  };
}

function decodeHealth(h: Readonly<Record<string, unknown>>): Health {
  return {
    test: texts(h['Test']),
    interval: BigInt(Math.trunc(whole(h['Interval']))),
    timeout: BigInt(Math.trunc(whole(h['Timeout']))),
    startPeriod: BigInt(Math.trunc(whole(h['StartPeriod']))),
    startInterval: BigInt(Math.trunc(whole(h['StartInterval']))),
    retries: whole(h['Retries']),
  };
}

type JsonObject = Readonly<Record<string, GoJson | undefined>>;

const some = (list: readonly GoJson[]): GoJson | undefined =>
  list.length === 0 ? undefined : list;
const set = (value: string): string | undefined => (value === '' ? undefined : value);
const members = (names: ReadonlySet<string>): JsonObject | undefined =>
  names.size === 0
    ? undefined
    : Object.fromEntries([...names].sort(byUtf8).map((n) => [n, {}] as const));

/** The configuration as JSON values in the order of Go's struct. */
export function imageJson(image: ImageConfig): JsonObject {
  const { platform: p } = image;
  return {
    created: set(image.created),
    author: set(image.author),
    architecture: p.Architecture,
    os: p.OS,
    'os.version': set(p.OSVersion ?? ''),
    'os.features': some(p.OSFeatures ?? []),
    variant: set(p.Variant ?? ''),
    rootfs: { type: image.rootfs.type, diff_ids: image.rootfs.diff_ids },
    history: some(image.history.map(historyJson)),
    config: configJson(image.config),
  };
}

/** The bytes that BuildKit's frontend returns for a configuration (Go `encoding/json`). */
export function encodeImage(image: ImageConfig): string {
  return goJson(imageJson(image));
}

function historyJson(h: HistoryEntry): JsonObject {
  return {
    created: h.created,
    created_by: h.created_by,
    author: h.author,
    comment: h.comment,
    empty_layer: h.empty_layer === true ? true : undefined,
  };
}

function configJson(c: ExecConfig): JsonObject {
  const labels = [...c.Labels].sort(([a], [b]) => byUtf8(a, b));
  return {
    User: set(c.User),
    ExposedPorts: members(c.ExposedPorts),
    Env: some(c.Env.lines),
    Entrypoint: some(c.Entrypoint),
    Cmd: some(c.Cmd),
    Volumes: members(c.Volumes),
    WorkingDir: set(c.WorkingDir),
    Labels: labels.length === 0 ? undefined : Object.fromEntries(labels),
    StopSignal: set(c.StopSignal),
    ArgsEscaped: c.ArgsEscaped ? true : undefined,
    Healthcheck: c.Healthcheck === undefined ? undefined : healthJson(c.Healthcheck),
    OnBuild: some(c.OnBuild),
    Shell: some(c.Shell),
  };
}

function healthJson(h: Health): JsonObject {
  const time = (ns: bigint): bigint | undefined => (ns === 0n ? undefined : ns);
  return {
    Test: some(h.test),
    Interval: time(h.interval),
    Timeout: time(h.timeout),
    StartPeriod: time(h.startPeriod),
    StartInterval: time(h.startInterval),
    Retries: h.retries === 0 ? undefined : h.retries,
  };
}
