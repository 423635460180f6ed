import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { err, failure, type GoJson, ok, parseJson, type Result, sha256 } from '../../base/index.ts';
import {
  type Comparable,
  comparableDisk,
  compareAll,
  type Difference,
  flatFacts,
} from '../../disk/index.ts';
import { Options } from '../build-request.ts';
import { loadOsTemplate, readSource } from '../compose/load-template.ts';
import { readLocks } from '../compose/lock-file.ts';
import { mergedTemplate } from '../compose/merged-template.ts';
import { isDiskFile, openReport } from '../compose/open-disk.ts';
import { withSettings } from '../compose/settings.ts';
import { findFile } from '../compose/stage-files.ts';
import { fail, type Io, printJson } from '../io.ts';

type Values = Readonly<Record<string, unknown>>;
type Kind = 'disk' | 'template' | 'lock';

/** Differences of files that a text shows. */
const SHOWN = 50;

/** `varve compose compare A B`: what differs between two disks, two templates or two locks. */
export async function composeCompare(
  outer: Io,
  [a, b]: readonly [string, string],
  values: Values,
): Promise<number> {
  const settings = withSettings(outer, new Options(values));
  if (!settings.ok) return fail(outer, settings.error);
  const io = settings.value;
  const [kind, other] = [kindOf(io, a), kindOf(io, b)];
  if (kind !== other)
    return fail(
      io,
      failure('CL002', 2, `${a} is a ${kind}, and ${b} a ${other}`, {
        help: 'compare two disks, two templates or two lock files',
      }),
    );
  const [first, second] = [await comparable(io, a, kind), await comparable(io, b, kind)];
  if (!first.ok) return fail(io, first.error);
  if (!second.ok) return fail(io, second.error);
  const found = compareAll(first.value, second.value);
  if (values['json'] === true)
    // A comparison holds only JSON values; interfaces have no index signature to say so.
    printJson(io, { kind, ...found } as unknown as GoJson);
  else if (found.equal) io.out(`the two ${kind}s do not differ\n`);
  else {
    io.out(section('packages', found.packages, Infinity));
    io.out(
      section(kind === 'disk' ? 'layout, kernel and accounts' : 'values', found.facts, Infinity),
    );
    io.out(section('files', found.files, SHOWN));
  }
  return values['exitCode'] === true && !found.equal ? 1 : 0;
}

function section(title: string, all: readonly Difference[], shown: number): string {
  if (all.length === 0) return '';
  const lines = all
    .slice(0, shown)
    .map(({ name, from, to }) =>
      from === undefined
        ? `  + ${name} ${to ?? ''}`
        : to === undefined
          ? `  - ${name} ${from}`
          : `  ~ ${name} ${from} -> ${to}`,
    );
  const more = all.length > shown ? [`  and ${all.length - shown} more`] : [];
  return `${[`${title}: ${all.length}`, ...lines, ...more].join('\n')}\n`;
}

function kindOf(io: Io, file: string): Kind {
  if (isDiskFile(io, file)) return 'disk';
  const source = readSource(io, file);
  return source.ok && source.value.text.startsWith('{') && parseJson(source.value.text).ok
    ? 'lock'
    : 'template';
}

async function comparable(io: Io, file: string, kind: Kind): Promise<Result<Comparable>> {
  if (kind === 'disk') {
    const report = await openReport(io, file, { files: true });
    return report.ok ? ok(comparableDisk(report.value)) : report;
  }
  if (kind === 'template') return comparableTemplate(io, file);
  const locks = readLocks(io, file);
  if (!locks.ok) return locks;
  const packages = [...locks.value].flatMap(([root, lock]) =>
    lock.packages.map(
      (p) => [`${root === 'root' ? '' : `${root}: `}${p.name}`, p.version] as const,
    ),
  );
  return ok({ facts: new Map(), packages: new Map(packages), files: new Map() });
}

/** A template with what it extends. Lists are compared by what their entries are called. */
function comparableTemplate(io: Io, file: string): Result<Comparable> {
  const loaded = loadOsTemplate(io, file);
  if (!loaded.ok) return loaded;
  const { template, dirs } = loaded.value;
  const files = new Map<string, string>();
  for (const { value, file: source, span } of template.files) {
    const from = findFile(dirs, value.local);
    if (from === undefined)
      return err(
        failure('TP004', 2, `there is no file ${value.local}`, {
          places: [{ file: source, span }],
        }),
      );
    files.set(value.final, sha256(readFileSync(resolve(from))));
  }
  const packages = template.packages.map(({ value }) => {
    const [name = '', version = ''] = value.split(/_(.*)/s);
    return [name, version === '' ? 'any version' : version] as const;
  });
  return ok({
    facts: new Map(flatFacts(mergedTemplate(loaded.value, 'facts'))),
    packages: new Map(packages),
    files,
  });
}
