import { err, ok, type Result } from '../base/index.ts';
import type { Device } from './command.ts';
import { csvFields } from './csv.ts';
import { parseBool, parseByteSize, parseUint32 } from './go-number.ts';
import { goString } from './go-text.ts';
import { withSuggestion } from './suggest.ts';

const TYPES = ['bind', 'cache', 'tmpfs', 'secret', 'ssh'] as const;
const SHARING = ['shared', 'private', 'locked'] as const;
const KEYS = [
  ...['type', 'from', 'source', 'target', 'readonly', 'id', 'sharing', 'required', 'size', 'mode'],
  ...['uid', 'gid', 'src', 'dst', 'destination', 'ro', 'rw', 'readwrite', 'env'],
];

/** What is mounted. */
export type MountType = (typeof TYPES)[number];

/** A parsed `RUN --mount` value (BuildKit `instructions.Mount`). Empty texts mean "not given". */
export interface Mount {
  readonly type: MountType;
  readonly from: string;
  readonly source: string;
  readonly target: string;
  readonly readonly: boolean;
  /** Bytes; 0 = no limit. */
  readonly sizeLimit: number;
  readonly id: string;
  readonly sharing: '' | (typeof SHARING)[number];
  readonly required: boolean;
  /** Environment variable of a secret. */
  readonly env?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

type Draft = { -readonly [K in keyof Mount]: Mount[K] } & { readonlySaid: boolean };

/** Expands the value of one mount option; an error is the final text. */
export type Expander = (word: string) => Result<string, string>;

/**
 * Parses the value of `RUN --mount` (Dockerfile reference, "RUN --mount"). Values are expanded; the result's error is
 * BuildKit's text.
 */
export function parseMount(csv: string, expand: Expander): Result<Mount, string> {
  const fields = csvFields(csv);
  if (!fields.ok) return err(`failed to parse csv mounts: ${fields.error}`);
  const draft: Draft = {
    ...{ type: 'bind', from: '', source: '', target: '', readonly: false, sizeLimit: 0 },
    ...{ id: '', sharing: '', required: false, readonlySaid: false },
  };
  for (const field of fields.value) {
    const problem = readField(draft, field, expand);
    if (problem !== undefined) return err(problem);
  }
  const problem = contradiction(draft);
  if (problem !== undefined) return err(problem);
  const { readonlySaid, ...mount } = draft;
  const writable = mount.type === 'cache' || mount.type === 'tmpfs';
  return ok(readonlySaid ? mount : { ...mount, readonly: !writable });
}

/**
 * What is checked of a mount before its variables can be expanded: the list itself, and that `from` holds no variable.
 */
export function checkMount(csv: string): string | undefined {
  const fields = csvFields(csv);
  if (!fields.ok) return `failed to parse csv mounts: ${fields.error}`;
  for (const field of fields.value) {
    const equals = field.indexOf('=');
    if (equals === -1 || field.slice(0, equals).toLowerCase() !== 'from') continue;
    const value = field.slice(equals + 1);
    const dollar = value.indexOf('$');
    if (dollar !== -1 && dollar !== value.length - 1)
      return "'from' doesn't support variable expansion, define alias stage instead";
  }
  return undefined;
}

function readField(draft: Draft, field: string, expand: Expander): string | undefined {
  const equals = field.indexOf('=');
  if (equals === -1) return readFlag(draft, field);
  const key = field.slice(0, equals).toLowerCase();
  const value = expand(field.slice(equals + 1));
  return value.ok ? readValue(draft, { key, value: value.value, field }) : value.error;
}

/** A key without a value. */
function readFlag(draft: Draft, field: string): string | undefined {
  const key = field.toLowerCase();
  switch (key) {
    case 'readonly':
    case 'ro':
      return setReadonly(draft, true);
    case 'readwrite':
    case 'rw':
      return setReadonly(draft, false);
    case 'required':
      return setRequired(draft, true, key);
    default:
      return `invalid field '${field}' must be a key=value pair`;
  }
}

interface Field {
  readonly key: string;
  readonly value: string;
  readonly field: string;
}

// One case per key: long, but flat.
function readValue(draft: Draft, { key, value, field }: Field): string | undefined {
  switch (key) {
    case 'type':
      return setType(draft, value);
    case 'from':
      draft.from = value;
      return undefined;
    case 'source':
    case 'src':
      draft.source = value;
      return undefined;
    case 'target':
    case 'dst':
    case 'destination':
      draft.target = value;
      return undefined;
    case 'id':
      draft.id = value;
      return undefined;
    case 'env':
      draft.env = value;
      return undefined;
    case 'readonly':
    case 'ro':
    case 'readwrite':
    case 'rw':
    case 'required':
      return setBoolean(draft, key, value);
    case 'size':
      return setSize(draft, value);
    case 'sharing':
      return setSharing(draft, value);
    case 'mode':
    case 'uid':
    case 'gid': {
      const number = parseUint32(value, key === 'mode' ? 8 : 10);
      if (number === undefined) return `invalid value ${value} for ${key}`;
      draft[key] = number;
      return undefined;
    }
    default: {
      const message = `unexpected key '${key}' in '${field}'`;
      return withSuggestion(message, key, KEYS, { caseSensitive: true });
    }
  }
}

function setReadonly(draft: Draft, value: boolean): string | undefined {
  draft.readonly = value;
  draft.readonlySaid = true;
  return undefined;
}

function setRequired(draft: Draft, value: boolean, key: string): string | undefined {
  if (draft.type !== 'secret' && draft.type !== 'ssh') return unexpectedKey(key, draft.type);
  draft.required = value;
  return undefined;
}

const unexpectedKey = (key: string, type: MountType): string =>
  `unexpected key '${key}' for mount type '${type}'`;

function setBoolean(draft: Draft, key: string, text: string): string | undefined {
  if (key === 'required' && draft.type !== 'secret' && draft.type !== 'ssh')
    return unexpectedKey(key, draft.type);
  const value = parseBool(text);
  if (value === undefined) return `invalid value for ${key}: ${text}`;
  if (key === 'required') return setRequired(draft, value, key);
  return setReadonly(draft, key === 'ro' || key === 'readonly' ? value : !value);
}

function setType(draft: Draft, value: string): string | undefined {
  const type = TYPES.find((known) => known === value.toLowerCase());
  if (type === undefined) {
    const message = `unsupported mount type ${goString(value)}`;
    return withSuggestion(message, value, TYPES, { caseSensitive: true });
  }
  draft.type = type;
  return undefined;
}

function setSharing(draft: Draft, value: string): string | undefined {
  const sharing = SHARING.find((known) => known === value.toLowerCase());
  if (sharing === undefined) {
    const message = `unsupported sharing value ${goString(value)}`;
    return withSuggestion(message, value, SHARING, { caseSensitive: true });
  }
  draft.sharing = sharing;
  return undefined;
}

function setSize(draft: Draft, value: string): string | undefined {
  if (draft.type !== 'tmpfs') return unexpectedKey('size', draft.type);
  const size = parseByteSize(value);
  if (size === undefined) return `invalid value for size: ${value}`;
  draft.sizeLimit = size;
  return undefined;
}

/** Options that are fine alone but not together. */
function contradiction(draft: Draft): string | undefined {
  if (draft.type === 'bind' || draft.type === 'tmpfs') {
    const key = (['mode', 'uid', 'gid'] as const).find((name) => draft[name] !== undefined);
    if (key !== undefined) return `${key} not allowed for ${goString(draft.type)} type mounts`;
  }
  if (draft.type === 'secret') {
    if (draft.from !== '') return 'secret mount should not have a from';
    if (draft.sharing !== '') return 'secret mount should not define sharing';
    if (draft.source === '' && draft.target === '' && draft.id === '')
      return 'invalid secret mount. one of source, target required';
    if (draft.source !== '' && draft.id !== '') return "both source and id can't be set";
  }
  if (draft.sharing !== '' && draft.type !== 'cache')
    return `invalid cache sharing set for ${draft.type} mount`;
  return undefined;
}

/** Parses the value of `RUN --device` (Container Device Interface name, optional `required`). */
export function parseDevice(csv: string): Result<Device, string> {
  const fields = csvFields(csv);
  if (!fields.ok) return err(`failed to parse csv devices: ${fields.error}`);
  let name = '';
  let required = false;
  for (const field of fields.value) {
    const equals = field.indexOf('=');
    const key = (equals === -1 ? field : field.slice(0, equals)).toLowerCase();
    const value = equals === -1 ? undefined : field.slice(equals + 1);
    if (key === 'required') {
      const parsed = value === undefined ? true : parseBool(value);
      if (parsed === undefined) return err(`invalid value for ${key}: ${value ?? ''}`);
      required = parsed;
    } else if (key === 'name' && value !== undefined) {
      if (name !== '') return err(`device name already set to ${name}`);
      name = value;
    } else if (name === '') {
      name = field;
    } else if (value === undefined) {
      return err(`invalid field '${field}' must be a key=value pair`);
    } else {
      const message = `unexpected key '${key}' in '${field}'`;
      return err(withSuggestion(message, key, ['name', 'required'], { caseSensitive: true }));
    }
  }
  return ok({ name, required });
}
