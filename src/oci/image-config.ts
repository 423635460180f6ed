import {
  byCodeUnit,
  type Digest,
  err,
  failure,
  type GoJson,
  goJson,
  isRecord,
  ok,
  parseDigest,
  parseJson,
  type Result,
} from '../base/index.ts';
import type { Platform } from './types.ts';

/** The most bytes an image configuration may have. */
export const MAX_CONFIG_BYTES = 8 * 1024 * 1024;

/** An item of an image's history (image-spec, config.md); `created` is RFC 3339. */
export interface HistoryItem {
  readonly created?: string;
  readonly created_by?: string;
  readonly author?: string;
  readonly comment?: string;
  readonly empty_layer?: boolean;
}

/** What is read of an image configuration; everything in it stays in `json`. */
export interface ImageConfig {
  readonly platform: Platform;
  readonly created?: string;
  readonly diffIds: readonly Digest[];
  readonly history: readonly HistoryItem[];
  /** The whole document. */
  readonly json: Readonly<Record<string, unknown>>;
}

/** Reads an image configuration; `what` names it in errors. */
export function decodeImageConfig(bytes: Uint8Array, what: string): Result<ImageConfig> {
  const refuse = (why: string): Result<never> =>
    err(failure('RG011', 3, `${what} is no image configuration: ${why}`));
  if (bytes.length > MAX_CONFIG_BYTES) return refuse(`it has ${bytes.length} bytes`);
  const parsed = parseJson(Buffer.from(bytes).toString('utf8'));
  if (!parsed.ok) return refuse(parsed.error);
  const json = parsed.value;
  if (!isRecord(json)) return refuse('expected an object');
  const rootfs = json['rootfs'];
  const list = isRecord(rootfs) ? (rootfs['diff_ids'] ?? []) : [];
  if (!Array.isArray(list)) return refuse('rootfs.diff_ids is no list');
  const diffIds: Digest[] = [];
  for (const item of list) {
    const digest = typeof item === 'string' ? parseDigest(item) : undefined;
    if (digest === undefined) return refuse('rootfs.diff_ids holds something else than a digest');
    diffIds.push(digest);
  }
  const text = (key: string): string | undefined => {
    const value = json[key];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const [variant, created, version] = [text('variant'), text('created'), text('os.version')];
  return ok({
    platform: {
      architecture: text('architecture') ?? '',
      os: text('os') ?? '',
      ...(variant === undefined ? {} : { variant }),
      ...(version === undefined ? {} : { 'os.version': version }),
    },
    ...(created === undefined ? {} : { created }),
    diffIds,
    history: Array.isArray(json['history']) ? json['history'].flatMap(historyOf) : [],
    json,
  });
}

function historyOf(value: unknown): HistoryItem[] {
  if (!isRecord(value)) return [];
  const text = (key: 'created' | 'created_by' | 'author' | 'comment'): Partial<HistoryItem> => {
    const member = value[key];
    return typeof member === 'string' && member !== '' ? { [key]: member } : {};
  };
  return [
    {
      ...text('created'),
      ...text('created_by'),
      ...text('author'),
      ...text('comment'),
      ...(value['empty_layer'] === true ? { empty_layer: true } : {}),
    },
  ];
}

/** Members of `config` in the order of Docker's Go structure, which BuildKit's front end marshals. */
const CONFIG_ORDER = [
  'User',
  'ExposedPorts',
  'Env',
  'Entrypoint',
  'Cmd',
  'Volumes',
  'WorkingDir',
  'Labels',
  'StopSignal',
  'ArgsEscaped',
  'Healthcheck',
  'OnBuild',
  'StopTimeout',
  'Shell',
];
const HEALTHCHECK_ORDER = [
  'Test',
  'Interval',
  'Timeout',
  'StartPeriod',
  'StartInterval',
  'Retries',
];

/**
 * The bytes of an image configuration as BuildKit's exporter writes them: top members in the order of their names (it
 * marshals a Go map), `config` in the order of the Go structure, history items in theirs.
 */
export function encodeImageConfig(json: Readonly<Record<string, unknown>>): Uint8Array {
  const members = Object.entries(json).filter(([, value]) => value !== undefined);
  const sorted = members
    .sort(([a], [b]) => byCodeUnit(a, b))
    .map(([key, value]) => [key, memberJson(key, value)]);
  // Parsed or made JSON values only: the caller's contract.
  return Buffer.from(goJson(Object.fromEntries(sorted) as { readonly [key: string]: GoJson }));
}

function memberJson(key: string, value: unknown): unknown {
  switch (key) {
    case 'config':
      return isRecord(value) ? configJson(value) : value;
    case 'rootfs':
      return isRecord(value) ? ordered(value, ['type', 'diff_ids']) : value;
    case 'history':
      return Array.isArray(value)
        ? value.map((item) =>
            isRecord(item)
              ? ordered(item, ['created', 'created_by', 'author', 'comment', 'empty_layer'])
              : (item as unknown),
          )
        : value;
    default:
      return value;
  }
}

function configJson(config: Readonly<Record<string, unknown>>): unknown {
  const out = Object.entries(ordered(config, CONFIG_ORDER)).map(([key, value]) => {
    if (key === 'Healthcheck' && isRecord(value)) return [key, ordered(value, HEALTHCHECK_ORDER)];
    const isMap = key === 'Labels' || key === 'ExposedPorts' || key === 'Volumes';
    return [key, isMap && isRecord(value) ? ordered(value, []) : value];
  });
  return Object.fromEntries(out);
}

/** The members named by `first` in that order, then all others in the order of their names. */
function ordered(
  value: Readonly<Record<string, unknown>>,
  first: readonly string[],
): Record<string, unknown> {
  const rest = Object.keys(value)
    .filter((key) => !first.includes(key))
    .sort(byCodeUnit);
  const keys = [...first.filter((key) => Object.hasOwn(value, key)), ...rest];
  return Object.fromEntries(keys.map((key) => [key, value[key]]));
}
