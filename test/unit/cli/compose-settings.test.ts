import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { Options } from '../../../src/cli/build-request.ts';
import { withSettings } from '../../../src/cli/compose/settings.ts';
import type { Io } from '../../../src/cli/io.ts';

interface Row {
  readonly what: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly options?: Readonly<Record<string, string>>;
  /** Workers, packages and store; paths below the working directory. */
  readonly want: readonly (string | undefined)[];
}

const HERE = 'work/image-composer-tool.yml';
const HOME = 'home/.config/image-composer-tool/config.yaml';
const ALL = 'workers: 3\ncache_dir: c\nwork_dir: w\nlogging: {level: info}\n';

const ROWS: readonly Row[] = [
  { what: 'nothing', want: [undefined, undefined, undefined] },
  { what: 'a file here', files: { [HERE]: ALL }, want: ['3', 'work/c', 'work/w'] },
  {
    what: 'a hidden file here',
    files: { 'work/.image-composer-tool.yaml': ALL },
    want: ['3', 'work/c', 'work/w'],
  },
  { what: 'a file at home', files: { [HOME]: ALL }, want: ['3', 'work/c', 'work/w'] },
  {
    what: 'the file here counts alone',
    files: { [HERE]: 'workers: 4\n', [HOME]: ALL },
    want: ['4', undefined, undefined],
  },
  {
    what: 'the older place at home goes before the newer',
    files: { 'home/.image-composer-tool/config.yml': 'workers: 5\n', [HOME]: ALL },
    want: ['5', undefined, undefined],
  },
  {
    what: 'a named file goes before those that are found',
    files: { [HERE]: ALL, 'work/other.yml': 'workers: 6\n' },
    options: { config: 'other.yml' },
    want: ['6', undefined, undefined],
  },
  {
    what: 'the environment goes before the file',
    files: { [HERE]: ALL },
    env: { VARVE_WORKERS: '7', VARVE_ROOT: '/root-of-env' },
    want: ['7', 'work/c', '/root-of-env'],
  },
  {
    what: 'an option goes before both',
    files: { [HERE]: ALL },
    env: { VARVE_WORKERS: '7', VARVE_ROOT: '/root-of-env', VARVE_PACKAGES: '/packages-of-env' },
    options: { workers: '8', cacheDir: 'oc', workDir: '/ow' },
    want: ['8', 'work/oc', '/ow'],
  },
];

function inWorld<T>(row: Omit<Row, 'what' | 'want'>, use: (io: Io, dir: string) => T): T {
  const dir = mkdtempSync(join(tmpdir(), 'varve-settings-'));
  try {
    for (const [path, text] of Object.entries({ 'work/.keep': '', ...row.files })) {
      mkdirSync(dirname(join(dir, path)), { recursive: true });
      writeFileSync(join(dir, path), text);
    }
    const io = { cwd: join(dir, 'work'), env: { HOME: join(dir, 'home'), ...row.env } };
    // Settings look at nothing else.
    return use(io as unknown as Io, dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

test('an option goes before the environment, that before the first configuration file, that before the default', () => {
  const differing: string[] = [];
  for (const row of ROWS)
    inWorld(row, (io, dir) => {
      const made = withSettings(io, new Options(row.options ?? {}));
      assert.ok(made.ok);
      const { env } = made.value;
      const found = [env['VARVE_WORKERS'], env['VARVE_PACKAGES'], env['VARVE_ROOT']].map((v) =>
        v?.replace(`${dir}/`, ''),
      );
      if (JSON.stringify(found) !== JSON.stringify(row.want))
        differing.push(`${row.what}: ${found.join()}`);
    });
  assert.deepEqual(differing, []);
});

test('a configuration that is none is refused where it is wrong', () => {
  const refused = inWorld({ files: { [HERE]: 'workers: many\n' } }, (io) => {
    const made = withSettings(io, new Options({}));
    return made.ok
      ? undefined
      : [made.error.code, made.error.message, made.error.places?.[0]?.file.path];
  });
  assert.deepEqual(refused, [
    'TP003',
    'workers: expected a number, got a text',
    'image-composer-tool.yml',
  ]);
  const missing = inWorld({}, (io) => withSettings(io, new Options({ config: 'no.yml' })));
  assert.equal(missing.ok ? '' : missing.error.code, 'TP001');
  const many = inWorld({}, (io) => withSettings(io, new Options({ workers: '101' })));
  assert.equal(many.ok ? '' : many.error.code, 'CL002');
});

test('logging and own distributions come from the configuration; an option goes before it', () => {
  const text = 'config_dir: conf\ntemp_dir: t\nlogging: {level: warn, file: build.log}\nai: {}\n';
  const names = ['VARVE_PROVIDERS', 'VARVE_LOG_LEVEL', 'VARVE_LOG_FILE'];
  const found = (options: Readonly<Record<string, string>>): readonly unknown[] =>
    inWorld({ files: { [HERE]: text } }, (io, dir) => {
      const made = withSettings(io, new Options(options));
      return made.ok
        ? names.map((name) => made.value.env[name]?.replace(`${dir}/`, ''))
        : [made.error.code];
    });
  assert.deepEqual(
    [found({}), found({ logLevel: 'debug', logFile: 'other.log' }), found({ logLevel: 'loud' })],
    [
      ['work/conf/providers', 'warn', 'work/build.log'],
      ['work/conf/providers', 'debug', 'work/other.log'],
      ['CL002'],
    ],
  );
});
