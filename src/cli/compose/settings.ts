import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { err, failure, isErrno, ok, type Result, type SourceFile } from '../../base/index.ts';
import { parseYaml } from '../../template/index.ts';
import type { Options } from '../build-request.ts';
import { LOG_LEVELS } from '../command-log.ts';
import type { Io } from '../io.ts';
import { shownPath } from '../shown-path.ts';

/** The global configuration of os-image-composer; what has no meaning here is taken and passed over. */
const schema = z.strictObject({
  workers: z.int().min(1).max(100).optional(),
  cache_dir: z.string().min(1).optional(),
  work_dir: z.string().min(1).optional(),
  config_dir: z.string().min(1).optional(),
  temp_dir: z.string().optional(),
  logging: z
    .strictObject({ level: z.enum(LOG_LEVELS).optional(), file: z.string().min(1).optional() })
    .optional(),
  ai: z.unknown().optional(),
});

/** Where a configuration is looked for, the first that is there counting alone. */
export function configPlaces(io: Pick<Io, 'cwd' | 'env'>): readonly string[] {
  const home = io.env['HOME'];
  const here = ['image-composer-tool.yml', 'image-composer-tool.yaml'].flatMap((name) => [
    name,
    `.${name}`,
  ]);
  const dirs = [
    ...(home === undefined || home === ''
      ? []
      : [join(home, '.image-composer-tool'), join(home, '.config/image-composer-tool')]),
    '/etc/image-composer-tool',
  ];
  return [
    ...here.map((name) => join(io.cwd, name)),
    ...dirs.flatMap((dir) => [join(dir, 'config.yml'), join(dir, 'config.yaml')]),
  ];
}

/**
 * The process as `varve compose` sees it: an option goes before a variable of the environment, that before the
 * configuration file, and that before the default. TP001 to TP003: the configuration file is none.
 */
export function withSettings(io: Io, options: Options): Result<Io> {
  const file = configFile(io, options.text('config'));
  if (!file.ok) return file;
  const parsed = file.value === undefined ? ok(undefined) : parseYaml(file.value, schema);
  if (!parsed.ok) return parsed;
  const config = parsed.value?.value ?? {};
  const workers = options.text('workers');
  if (workers !== undefined && !/^(?:[1-9]\d?|100)$/.test(workers))
    return err(failure('CL002', 2, '--workers: expected a number from 1 to 100'));
  const level = options.text('logLevel');
  if (level !== undefined && !LOG_LEVELS.some((known) => known === level))
    return err(
      failure('CL002', 2, `--log-level: unknown level "${level}"`, {
        help: `known: ${LOG_LEVELS.join(', ')}`,
      }),
    );
  const path = (text: string | undefined): string | undefined =>
    text === undefined ? undefined : resolve(io.cwd, text);
  const settings = {
    VARVE_WORKERS: workers ?? io.env['VARVE_WORKERS'] ?? config.workers?.toString(),
    VARVE_PACKAGES:
      path(options.text('cacheDir')) ?? io.env['VARVE_PACKAGES'] ?? path(config.cache_dir),
    VARVE_ROOT: path(options.text('workDir')) ?? io.env['VARVE_ROOT'] ?? path(config.work_dir),
    VARVE_PROVIDERS: io.env['VARVE_PROVIDERS'] ?? path(providersIn(config.config_dir)),
    VARVE_LOG_LEVEL: level ?? io.env['VARVE_LOG_LEVEL'] ?? config.logging?.level,
    VARVE_LOG_FILE:
      path(options.text('logFile')) ?? path(io.env['VARVE_LOG_FILE']) ?? path(config.logging?.file),
  };
  const given = Object.entries(settings).filter(([, value]) => value !== undefined);
  if (given.length === 0) return ok(io);
  const env = { ...io.env, ...Object.fromEntries(given) };
  // Everything else is that of `io`; its members may be computed when they are asked for.
  return ok(Object.create(io, { env: { value: env } }) as Io);
}

/** Descriptions of distributions lie below the directory of configurations. */
const providersIn = (dir: string | undefined): string | undefined =>
  dir === undefined ? undefined : join(dir, 'providers');

function configFile(io: Io, named: string | undefined): Result<SourceFile | undefined> {
  const places = named === undefined ? configPlaces(io) : [resolve(io.cwd, named)];
  for (const path of places)
    try {
      return ok({ path: shownPath(io.cwd, path), text: readFileSync(path, 'utf8') });
    } catch (e) {
      if (!isErrno(e, 'ENOENT', 'ENOTDIR', 'EACCES', 'EISDIR')) throw e;
      if (named !== undefined || !isErrno(e, 'ENOENT', 'ENOTDIR'))
        return err(failure('TP001', 2, `configuration ${path} cannot be read: ${e.code ?? ''}`));
    }
  return ok(undefined);
}
