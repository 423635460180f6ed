import { diffLines } from 'diff';
import { FailureError, failure, type GoJson, goJson } from '../../base/index.ts';
import {
  diffImageFiles,
  type FileDifference,
  type ImageFile,
  inspectImage,
  installedPackages,
  type StoredImage,
} from '../../image/index.ts';
import { readImageFiles } from '../image-files.ts';
import { fail, type Io, indentLines, neutraliseLines, printJson, table } from '../io.ts';
import { formatBytes } from '../progress/text.ts';
import { openStore, type Store } from '../store.ts';

type Options = Readonly<Record<string, unknown>>;

/** Files listed unless all are asked for. */
const SHOWN = 50;

const STATUS = 'var/lib/dpkg/status';

/** An image with its files. */
interface Side {
  readonly image: StoredImage;
  readonly files: ReadonlyMap<string, ImageFile>;
  readonly packages: ReadonlyMap<string, string>;
}

/** `varve image diff A B`: configuration, packages and files that differ. Exit code 1 when they do, as diff(1). */
export async function imageDiff(io: Io, a: string, b: string, options: Options): Promise<number> {
  const opened = openStore(io);
  if (!opened.ok) return fail(io, opened.error);
  using store = opened.value;
  try {
    const [before, after] = [await sideOf(io, store, a), await sideOf(io, store, b)];
    const files = diffImageFiles(before.files, after.files);
    const packages = diffPackages(before.packages, after.packages);
    const config = diffConfigs(before.image, after.image);
    const same = files.length + packages.length + config.length === 0;
    if (options['json'] === true)
      printJson(io, {
        same,
        config,
        packages: packages.map((p) => ({ ...p })),
        files: files.map((f) => ({ ...f })),
      });
    else if (same) io.out('the images have the same files and configuration\n');
    else io.out(diffText({ files, packages, config }, options['all'] === true));
    return same ? 0 : 1;
  } catch (e) {
    if (e instanceof FailureError) return fail(io, e.failure);
    throw e;
  }
}

async function sideOf(io: Io, store: Store, name: string): Promise<Side> {
  const deps = { content: store.content, images: store.db.images, clock: io.clock };
  const found = await inspectImage(deps, name);
  if (!found.ok) throw new FailureError(found.error);
  const [image, ...others] = found.value.platforms;
  if (image === undefined || others.length > 0)
    throw new FailureError(
      failure(
        'ST031',
        2,
        `${name} has ${others.length + (image === undefined ? 0 : 1)} platforms here; images of one platform are compared`,
      ),
    );
  const { files } = await readImageFiles(store, image, {
    signal: io.signal,
    keep: new Set([STATUS]),
  });
  const status = Buffer.from(files.get(STATUS)?.data ?? '').toString('utf8');
  return { image, files, packages: installedPackages(status) };
}

interface PackageDifference {
  readonly name: string;
  readonly before?: string;
  readonly after?: string;
}

function diffPackages(
  before: Side['packages'],
  after: Side['packages'],
): readonly PackageDifference[] {
  const names = [...new Set([...before.keys(), ...after.keys()])].sort();
  return names.flatMap((name) => {
    const [a, b] = [before.get(name), after.get(name)];
    if (a === b) return [];
    return [
      { name, ...(a === undefined ? {} : { before: a }), ...(b === undefined ? {} : { after: b }) },
    ];
  });
}

/** Lines of the configurations that differ; history and layers are how an image was made, not what it is. */
function diffConfigs(a: StoredImage, b: StoredImage): readonly string[] {
  const [before, after] = [a, b].map(configText);
  return diffLines(before ?? '', after ?? '').flatMap(({ added, removed, value }) =>
    added || removed
      ? value
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => `${added ? '+' : '-'} ${line}`)
      : [],
  );
}

function configText({ config }: StoredImage): string {
  // Documents of the store are JSON values.
  const json = config.json as { readonly [key: string]: GoJson | undefined };
  const members = Object.entries(json).filter(([name]) => !OF_MAKING.has(name));
  return lines('', Object.fromEntries(members)).sort().join('\n');
}

const OF_MAKING = new Set(['history', 'rootfs', 'created']);

/** A JSON value as one line a leaf: `config.Env[0]: "PATH=…"`. */
function lines(path: string, value: GoJson | undefined): string[] {
  if (value === undefined) return [];
  if (Array.isArray(value)) return value.flatMap((each: GoJson, i) => lines(`${path}[${i}]`, each));
  if (typeof value === 'object' && value !== null)
    return Object.entries(value).flatMap(([name, each]: [string, GoJson | undefined]) =>
      lines(path === '' ? name : `${path}.${name}`, each),
    );
  return [`${path}: ${goJson(value)}`];
}

interface Differences {
  readonly files: readonly FileDifference[];
  readonly packages: readonly PackageDifference[];
  readonly config: readonly string[];
}

function diffText({ files, packages, config }: Differences, all: boolean): string {
  const shown = all ? files : files.slice(0, SHOWN);
  const parts = [
    ...(config.length === 0
      ? []
      : [`configuration\n${config.map((line) => `  ${line}\n`).join('')}`]),
    ...(packages.length === 0
      ? []
      : [
          `packages\n${indentLines('  ', table(packages.map((p) => [p.name, p.before ?? '-', '->', p.after ?? '-'])))}`,
        ]),
    ...(files.length === 0
      ? []
      : [
          `files\n${indentLines('  ', table(shown.map((f) => [MARK[f.kind], f.path, sizeOf(f), f.what.join(', ')])))}`,
        ]),
    ...(files.length === shown.length
      ? []
      : [`  and ${files.length - shown.length} more (--all)\n`]),
  ];
  const bytes = files.reduce((sum, f) => sum + f.bytes, 0);
  const count = (kind: FileDifference['kind']): number =>
    files.filter((f) => f.kind === kind).length;
  return `${parts.map(neutraliseLines).join('\n')}\n${count('added')} added, ${count('removed')} removed, ${count('changed')} changed: ${signed(bytes)}\n`;
}

const MARK = { added: 'A', removed: 'D', changed: 'C' } as const;

const sizeOf = ({ bytes }: FileDifference): string => (bytes === 0 ? '' : signed(bytes));

const signed = (bytes: number): string => `${bytes < 0 ? '-' : '+'}${formatBytes(Math.abs(bytes))}`;
