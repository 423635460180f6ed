import { lstatSync, type Stats } from 'node:fs';
import { basename, join } from 'node:path';
import type { Cost, Entry, EntryKind, Hold } from '../gc/index.ts';
import type { UpkeepDeps } from './deps.ts';
import { downloading, FREE } from './estimate.ts';
import { type Facts, holdsOn } from './facts.ts';
import { LockedFiles } from './locked-files.ts';
import { namesIn } from './names-in.ts';
import { idPrefix, type PackageDir, packageDirs } from './package-dirs.ts';

interface FileEntry {
  readonly id: string;
  readonly kind: EntryKind;
  readonly label: string;
  readonly path: string;
  readonly cost?: (bytes: number) => Cost;
  readonly holds?: readonly Hold[];
  readonly usedAt?: number;
  readonly madeBy?: Entry['madeBy'];
  readonly usedBy?: readonly string[];
  /** What changes with its size; without one it is measured each time. */
  readonly stamp?: string;
}

/** An entry that is one file or directory of its own. */
function entryOf(facts: Facts, file: FileEntry): Entry[] {
  const stat = lstatSync(file.path, { throwIfNoEntry: false });
  if (stat === undefined) return [];
  const { id, kind, label, path, stamp } = file;
  const size =
    stamp === undefined ? facts.sizes.known(path, stat) : facts.sizes.stamped(id, stamp, [path]);
  const cost = file.cost?.(size.bytes) ?? FREE;
  return [
    {
      ...{ id, kind, label, ...size },
      createdAt: born(stat),
      usedAt: Math.max(born(stat), file.usedAt ?? Math.max(stat.mtimeMs, stat.ctimeMs)),
      uses: 0,
      madeBy: file.madeBy ?? {},
      usedBy: file.usedBy ?? [],
      holds: [...(file.holds ?? []), ...holdsOn(facts, id)],
      parents: [],
      twins: [],
      cost,
      lastCost: cost,
      paths: [path],
    },
  ];
}

/** Not every file system knows when a file was made. */
const born = (stat: Stats): number =>
  stat.birthtimeMs > 0 ? Math.min(stat.birthtimeMs, stat.mtimeMs) : stat.mtimeMs;

/** Cache mounts: what is in them is lost with them. */
export function mountEntries(deps: UpkeepDeps, facts: Facts): Entry[] {
  const locked = new LockedFiles();
  return deps.mounts.list().flatMap(({ id, path, usedAt }) => {
    const slot = join(path, '..');
    const busy = locked.has(join(slot, 'lock'));
    return entryOf(facts, {
      id: `mount:${basename(join(slot, '..'))}/${basename(slot)}`,
      kind: 'mount',
      // The separator behind an empty namespace.
      label: id.replace(/^\//, ''),
      path: slot,
      usedAt,
      cost: downloading,
      usedBy: busy ? ['a step that runs'] : [],
      holds: busy ? [{ by: 'use', text: 'a step uses it' }] : [],
      // A step that runs may still be writing to it.
      ...(busy ? {} : { stamp: `${usedAt}` }),
    });
  });
}

/** Packages, their indexes, and the Release files that vouch for both. */
export function packageEntries(deps: UpkeepDeps, facts: Facts): Entry[] {
  return packageDirs(deps.paths).flatMap((dir) =>
    entriesOfDir(dir, facts, idPrefix(deps.paths, dir)),
  );
}

function entriesOfDir(dir: PackageDir, facts: Facts, prefix: string): Entry[] {
  const entries: Entry[] = [];
  const pool = join(dir.path, 'pool');
  const where = prefix === '' ? '' : ` in ${dir.path}`;
  const holds: readonly Hold[] = dir.inUse
    ? [{ by: 'use', text: `another command works with ${dir.path}` }]
    : [];
  for (const shelf of namesIn(pool)) {
    if (!/^[0-9a-f]{2}$/.test(shelf)) continue;
    for (const hex of namesIn(join(pool, shelf))) {
      const { label = 'package', from, usedBy = [] } = facts.choices.packages.get(hex) ?? {};
      entries.push(
        ...entryOf(facts, {
          ...{ id: `package:${prefix}sha256:${hex}`, kind: 'package', usedBy, holds },
          label: `${label}${where}`,
          path: join(pool, shelf, hex),
          cost: downloading,
          ...(from === undefined ? {} : { madeBy: { from } }),
        }),
      );
    }
  }
  const quarter = (bytes: number): Cost => downloading(bytes / 4);
  // What is being written is its writer's, or goes with what a dead process left.
  for (const [folder, label, cost] of [
    ['index', 'package index', quarter],
    ['rpm-index', 'package index', quarter],
    ['release', 'Release file', downloading],
    ['lock', 'choice of packages', undefined],
  ] as const)
    for (const name of namesIn(join(dir.path, folder)).filter((each) => !each.startsWith('.'))) {
      const path = join(dir.path, folder, name);
      const from = namesIn(path)
        .map((hex) => facts.choices.releases.get(hex))
        .find(Boolean);
      entries.push(
        ...entryOf(facts, {
          ...{ id: `${folder}:${prefix}${name}`, kind: 'index', path, holds },
          label: `${facts.choices.labels.get(name) ?? label}${where}`,
          ...(cost === undefined ? {} : { cost }),
          ...(from === undefined ? {} : { madeBy: { from } }),
        }),
      );
    }
  return entries;
}

/** Bare repositories, indexes of contexts and logs of builds. */
export function otherEntries(deps: UpkeepDeps, facts: Facts): Entry[] {
  const { paths } = deps;
  const git = namesIn(paths.git).flatMap((name) =>
    entryOf(facts, {
      id: `git:${name}`,
      kind: 'git',
      label: 'repository',
      path: join(paths.git, name),
      cost: downloading,
    }),
  );
  const contexts = namesIn(paths.contexts).flatMap((name) =>
    entryOf(facts, {
      id: `context:${name.replace(/\.idx$/, '')}`,
      kind: 'context',
      label: 'digests of the files of a context',
      path: join(paths.contexts, name),
    }),
  );
  return [...git, ...contexts, ...logEntries(deps, facts)];
}

function logEntries(deps: UpkeepDeps, facts: Facts): Entry[] {
  const builds = new Map(deps.db.builds().map((build) => [build.id, build]));
  const running = new Set(facts.held.purposes);
  return namesIn(deps.paths.logs).flatMap((name) => {
    const build = builds.get(name);
    const pinned = facts.pins.get(`build:${name}`);
    const holds: Hold[] = [
      ...(running.has(`build ${name}`) ? [{ by: 'use' as const, text: 'the build runs' }] : []),
      ...(pinned === undefined ? [] : [{ by: 'pin' as const, text: 'its build is pinned' }]),
    ];
    return entryOf(facts, {
      id: `log:${name}`,
      kind: 'log',
      label: build === undefined ? 'log of a build that was removed' : `log of ${build.name}`,
      path: join(deps.paths.logs, name),
      madeBy: { build: name },
      usedBy: build === undefined ? [] : [`build ${name} in the history`],
      holds,
    });
  });
}

/** What the store's own files are. */
const OWN: Readonly<Record<string, string>> = {
  'state.db': 'cache records, history, images',
  'compile-cache': 'compiled code of the program',
  'content/index.json': 'names of images',
};

/** The database, what failed verification, and what was not finished. */
export function housekeepingEntries(deps: UpkeepDeps, facts: Facts): Entry[] {
  const { paths } = deps;
  const kept: Hold[] = [{ by: 'store', text: 'the store itself' }];
  const own = [
    ...['state.db', 'state.db-wal', 'state.db-shm', 'compile-cache', 'locks', 'run'],
    ...['content/index.json', 'content/oci-layout'],
  ].flatMap((name) =>
    entryOf(facts, {
      id: `store:${name}`,
      kind: 'store',
      label: OWN[name] ?? 'state of the store',
      path: join(paths.root, name),
      holds: kept,
    }),
  );
  const damaged = namesIn(paths.root)
    .filter((name) => name.startsWith('state.db.damaged-'))
    .map((name) => join(paths.root, name));
  const pools = packageDirs(paths).map(({ path }) => join(path, 'pool'));
  const aside = [
    join(paths.content, 'quarantine'),
    ...pools.map((pool) => join(pool, 'quarantine')),
  ]
    .flatMap((dir) => namesIn(dir).map((name) => join(dir, name)))
    .concat(
      damaged,
      namesIn(join(paths.root, 'quarantine')).map((n) => join(paths.root, 'quarantine', n)),
    );
  const quarantine = aside.flatMap((path) =>
    entryOf(facts, {
      id: `quarantine:${nameIn(paths.root, path)}`,
      kind: 'quarantine',
      label: 'failed verification',
      path,
    }),
  );
  const unfinished = [
    join(paths.content, 'ingest'),
    ...pools.map((pool) => join(pool, 'partial')),
    join(paths.snapshots, 'work'),
    paths.tmp,
    join(paths.root, 'trash'),
  ].flatMap((dir) =>
    namesIn(dir).flatMap((name) =>
      entryOf(facts, {
        id: `temporary:${nameIn(paths.root, join(dir, name))}`,
        kind: 'temporary',
        label: 'not finished',
        path: join(dir, name),
        // Their owners, or the sweep that follows a killed owner, remove them.
        holds: [{ by: 'use', text: 'belongs to a process, or goes with the next build' }],
      }),
    ),
  );
  return [...own, ...quarantine, ...unfinished];
}

/** A path below the root of the store from there on, another one as it is. */
const nameIn = (root: string, path: string): string =>
  path.startsWith(`${root}/`) ? path.slice(root.length + 1) : path;
