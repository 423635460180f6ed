import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { err, failure, isErrno, ok, type Result, type SourceFile } from '../../base/index.ts';
import {
  isRpmTemplate,
  mergeOsTemplate,
  type OsLayer,
  type OsTemplate,
  type Provider,
  parseOsPart,
  parseProvider,
  parseRpmTemplate,
  parseTemplate,
  providerOf,
  type RootTemplate,
} from '../../template/index.ts';
import type { Io } from '../io.ts';
import { shownPath } from '../shown-path.ts';

/** A template for a disk, and what is known of its distribution. */
export interface LoadedTemplate {
  readonly template: OsTemplate;
  readonly provider: Provider;
  /** Directories of the file and of those it extends, nearest first: where additional files are looked for. */
  readonly dirs: readonly string[];
}

/** A chain of `extends` is no longer than this. */
const MAX_CHAIN = 16;

/** Reads a text file that the user named. TP001: it cannot be read. */
export function readSource(io: Io, file: string): Result<SourceFile> {
  const path = resolve(io.cwd, file);
  try {
    return ok({ path: shownPath(io.cwd, path), text: readFileSync(path, 'utf8') });
  } catch (e) {
    if (!isErrno(e, 'ENOENT', 'EACCES', 'EISDIR', 'ENOTDIR')) throw e;
    return err(failure('TP001', 2, `template ${file} cannot be read: ${e.code ?? ''}`));
  }
}

/** A template of one root, of either kind of packages. */
export const parseBase = (source: SourceFile): Result<RootTemplate> =>
  isRpmTemplate(source.text) ? parseRpmTemplate(source) : parseTemplate(source);

/** Reads a template, the files it extends, and its provider. */
export function loadOsTemplate(io: Io, file: string): Result<LoadedTemplate> {
  const layers: OsLayer[] = [];
  const dirs: string[] = [];
  for (let next: string | undefined = resolve(io.cwd, file); next !== undefined; ) {
    if (layers.length === MAX_CHAIN)
      return err(
        failure('TP004', 2, `${file} extends more than ${MAX_CHAIN} files, or itself`, {
          help: 'break the circle of extends',
        }),
      );
    const source = readSource(io, next);
    if (!source.ok) return source;
    const layer = parseOsPart(source.value);
    if (!layer.ok) return layer;
    layers.push(layer.value);
    const dir = dirname(next);
    if (!dirs.includes(dir)) dirs.push(dir);
    const parent: string | undefined = layer.value.parsed.value.extends;
    next = parent === undefined ? undefined : resolve(dir, parent);
  }
  const template = mergeOsTemplate(layers);
  if (!template.ok) return template;
  const providers = loadProviders(io);
  if (!providers.ok) return providers;
  const provider = providerOf(template.value.target, providers.value);
  if (!provider.ok)
    return err({ ...provider.error, places: [template.value.at(['target', 'dist'])] });
  return ok({ template: template.value, provider: provider.value, dirs });
}

/** The user's own providers, which go before those that come with the program: beside the bundle, or beside the sources. */
function loadProviders(io: Io): Result<readonly Provider[]> {
  const named = io.env['VARVE_PROVIDERS'];
  const own = named === undefined ? ok([]) : providersOf(resolve(io.cwd, named));
  if (!own.ok) return own;
  for (const up of ['../providers', '../../../providers']) {
    const found = providersOf(join(import.meta.dirname, up));
    if (!found.ok || found.value.length > 0)
      return found.ok ? ok([...own.value, ...found.value]) : found;
  }
  return own;
}

function providersOf(dir: string): Result<readonly Provider[]> {
  const all: Provider[] = [];
  for (const name of namesIn(dir)) {
    const path = join(dir, name);
    const parsed = parseProvider({ path, text: readFileSync(path, 'utf8') });
    if (!parsed.ok) return parsed;
    all.push(parsed.value);
  }
  return ok(all);
}

function namesIn(dir: string): readonly string[] {
  try {
    return readdirSync(dir)
      .filter((name) => name.endsWith('.yml'))
      .sort();
  } catch (e) {
    if (!isErrno(e, 'ENOENT', 'ENOTDIR')) throw e;
    return [];
  }
}
