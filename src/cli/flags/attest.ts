import type { Attestations } from '../../attest/index.ts';
import { ok, type Result } from '../../base/index.ts';
import type { OutputSpec } from '../../build/index.ts';
import { ANNOTATION_PLACES } from '../../image/index.ts';
import { csvMap, usage } from './csv.ts';

/** What the command line says of attestations. */
export interface AttestFlags {
  /** `--attest`, in order. */
  readonly attest: readonly string[];
  /** `--provenance`, short for `--attest type=provenance,…`. */
  readonly provenance: string | undefined;
  /** `--sbom`, short for `--attest type=sbom,…`. */
  readonly sbom: string | undefined;
}

/** `--attest`, `--provenance` and `--sbom` (Docker's `buildx build`); of several of one type the last counts. */
export function attestFlags(flags: AttestFlags): Result<Attestations | undefined> {
  const given: Given[] = flags.attest.map((text) => ({ flag: '--attest', shown: text, text }));
  for (const type of ['provenance', 'sbom'] as const) {
    const shown = flags[type];
    if (shown === undefined) continue;
    const value = truth(shown);
    const rest = value === undefined ? shown : `disabled=${!value}`;
    given.push({ flag: `--${type}`, shown, text: `type=${type},${rest}` });
  }
  let wanted: Wanted = {};
  for (const each of given) {
    const one = attestation(each);
    if (!one.ok) return one;
    wanted = { ...wanted, ...one.value };
  }
  const { provenance: making, sbom: packages } = wanted;
  if (making === undefined && packages === undefined) return ok(undefined);
  return ok({
    ...(making === undefined ? {} : { provenance: making }),
    ...(packages === undefined ? {} : { sbom: packages }),
  });
}

/** An attestation as a list of keys and values, and the flag that said it. */
interface Given {
  readonly flag: string;
  readonly shown: string;
  readonly text: string;
}

/** Undefined: switched off. */
type Wanted = { readonly [K in keyof Attestations]: Attestations[K] | undefined };

function attestation(given: Given): Result<Wanted> {
  const map = csvMap(given.flag, given.text, { shown: () => given.shown });
  if (!map.ok) return map;
  const values = new Map(map.value);
  const type = values.get('type');
  values.delete('type');
  const off = boolean(given, values, 'disabled');
  if (!off.ok) return off;
  switch (type) {
    case 'provenance': {
      const done = provenance(given, values);
      return done.ok ? ok({ provenance: off.value ? undefined : done.value }) : done;
    }
    case 'sbom': {
      const done = sbom(given, values);
      return done.ok ? ok({ sbom: off.value ? undefined : done.value }) : done;
    }
    default:
      return usage(
        given.flag,
        given.shown,
        type === undefined ? 'type is missing' : `unknown type "${type}"`,
        'known types: provenance, sbom',
      );
  }
}

function provenance(
  given: Given,
  values: ReadonlyMap<string, string>,
): Result<NonNullable<Attestations['provenance']>> {
  const mode = take(values, 'mode', 'max');
  if (mode !== 'min' && mode !== 'max')
    return usage(given.flag, given.shown, `unknown mode "${mode}"`, 'known modes: min, max');
  const version = take(values, 'version', 'v1');
  if (version !== 'v1' && version !== 'v0.2')
    return usage(
      given.flag,
      given.shown,
      `unknown version "${version}"`,
      'known versions: v1, v0.2',
    );
  const reproducible = boolean(given, values, 'reproducible');
  if (!reproducible.ok) return reproducible;
  const rest = common(given, values, 'provenance.json', [
    'mode',
    'version',
    'builder-id',
    'reproducible',
  ]);
  if (!rest.ok) return rest;
  const builderId = take(values, 'builder-id', '');
  return ok({ mode, version, builderId, reproducible: reproducible.value, ...rest.value });
}

function sbom(
  given: Given,
  values: ReadonlyMap<string, string>,
): Result<NonNullable<Attestations['sbom']>> {
  if (values.has('generator'))
    return usage(
      given.flag,
      given.shown,
      'generators are images that scan others, and none is run here',
      'leave generator out: Varve reads the databases of package managers itself',
    );
  return common(given, values, 'sbom.spdx.json', []);
}

function common(
  given: Given,
  values: ReadonlyMap<string, string>,
  name: string,
  own: readonly string[],
): Result<{ readonly filename: string; readonly inlineOnly: boolean }> {
  const keys = [...own, 'filename', 'inline-only', 'disabled'];
  const unknown = [...values.keys()].find((key) => !keys.includes(key));
  if (unknown !== undefined)
    return usage(
      given.flag,
      given.shown,
      `unknown key "${unknown}"`,
      `known keys: ${keys.join(', ')}`,
    );
  const filename = take(values, 'filename', name);
  if (filename === '' || filename.includes('/') || filename === '.' || filename === '..')
    return usage(given.flag, given.shown, `"${filename}" is no name of a file`);
  const inlineOnly = boolean(given, values, 'inline-only');
  return inlineOnly.ok ? ok({ filename, inlineOnly: inlineOnly.value }) : inlineOnly;
}

const take = (values: ReadonlyMap<string, string>, key: string, otherwise: string): string =>
  values.get(key) ?? otherwise;

function boolean(given: Given, values: ReadonlyMap<string, string>, key: string): Result<boolean> {
  const text = values.get(key);
  if (text === undefined) return ok(false);
  const value = truth(text);
  return value === undefined
    ? usage(given.flag, given.shown, `${key} "${text}" is neither true nor false`)
    : ok(value);
}

/** Go's strconv.ParseBool. */
function truth(text: string): boolean | undefined {
  if (/^(?:1|t|T|true|TRUE|True)$/.test(text)) return true;
  return /^(?:0|f|F|false|FALSE|False)$/.test(text) ? false : undefined;
}

/** `--annotation [TYPE[PLATFORM],…:]KEY=VALUE` as attributes of an output (Docker's `buildx build`). */
export function annotationAttrs(text: string): Result<ReadonlyMap<string, string>> {
  const equals = text.indexOf('=');
  if (equals < 1) return usage('--annotation', text, 'must be key=value');
  const colon = text.slice(0, equals).indexOf(':');
  const key = text.slice(colon + 1, equals);
  if (key === '') return usage('--annotation', text, 'the key is missing');
  const attrs = new Map<string, string>();
  for (const place of (colon === -1 ? 'manifest' : text.slice(0, colon)).split(',')) {
    const [, type = '', platform] = /^([a-z-]+)(?:\[([^\]]*)\])?$/.exec(place) ?? [];
    if (!ANNOTATION_PLACES.some((known) => known === type))
      return usage(
        '--annotation',
        text,
        `unknown type "${place}"`,
        `known types: ${ANNOTATION_PLACES.join(', ')}`,
      );
    const where = platform === undefined ? '' : `[${platform}]`;
    attrs.set(`annotation-${type}${where}.${key}`, text.slice(equals + 1));
  }
  return ok(attrs);
}

/** Outputs with further attributes on those that are images. */
export function withAttrs(
  outputs: readonly OutputSpec[],
  more: ReadonlyMap<string, string>,
): readonly OutputSpec[] {
  if (more.size === 0) return outputs;
  const images = ['image', 'registry', 'oci', 'docker'];
  return outputs.map((output) =>
    images.includes(output.type)
      ? { ...output, attrs: new Map([...output.attrs, ...more]) }
      : output,
  );
}
