import { ok, type Result } from '../../base/index.ts';
import type { CallMethod } from '../../build/index.ts';
import { csvFields, usage } from './csv.ts';

/** A `--call`: what to ask instead of building, and how to print the answer. */
export interface CallFlag {
  readonly method: CallMethod;
  readonly json: boolean;
  /** Exits with 0 whatever is found. */
  readonly ignoreStatus: boolean;
}

const METHODS: Readonly<Record<string, CallMethod>> = {
  check: 'check',
  lint: 'check',
  outline: 'outline',
  targets: 'targets',
};

/** Reads `METHOD[,format=json][,ignorestatus=true]` as docker buildx does; undefined for `build`. */
export function callFlag(text: string): Result<CallFlag | undefined> {
  const wrong = (why: string): Result<never> =>
    usage('--call', text, why, 'known: build, check, outline, targets; with ,format=json');
  const fields = csvFields(text);
  if (!fields.ok) return wrong(fields.error);
  let name: string | undefined;
  let format = '';
  let ignoreStatus = false;
  for (const field of fields.value) {
    const equals = field.indexOf('=');
    if (equals === -1) {
      if (name !== undefined) return wrong('more than one method');
      name = field;
      continue;
    }
    const [key, value] = [field.slice(0, equals), field.slice(equals + 1)];
    if (key === 'format') {
      if (!['', 'text', 'json'].includes(value)) return wrong(`unknown format "${value}"`);
      format = value;
    } else if (key === 'ignorestatus') {
      if (!/^(?:1|t|true|0|f|false)$/i.test(value))
        return wrong(`"${value}" is neither true nor false`);
      ignoreStatus = /^(?:1|t|true)$/i.test(value);
    } else return wrong(`unknown field "${key}"`);
  }
  if (name === undefined || name === '' || name === 'build') return ok(undefined);
  const method = METHODS[name];
  return method === undefined
    ? wrong(`unknown method "${name}"`)
    : ok({ method, json: format === 'json', ignoreStatus });
}
