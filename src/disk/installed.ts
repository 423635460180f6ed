/**
 * A package as a database of installed packages has it: dpkg's `status` (deb-control(5)), rpm's, apk's, or the files that
 * pip and npm leave with each one.
 */
export interface InstalledPackage {
  readonly format: 'deb' | 'rpm' | 'apk' | 'pypi' | 'npm';
  /** What tells it from the others: its name, and the architecture where there are several of one name. */
  readonly id: string;
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  readonly source: string;
  readonly sourceVersion: string;
  readonly maintainer: string;
  readonly homepage: string;
  readonly summary: string;
  /** What its author calls the license; empty where the database does not say. */
  readonly license: string;
  /** Identifiers of installed packages that it depends on, sorted. */
  readonly needs: readonly string[];
}

type Fields = ReadonlyMap<string, string>;

/** Reads dpkg's status file: the packages that are installed, by name, each with what it needs of the others. */
export function installedPackages(status: string): readonly InstalledPackage[] {
  const stanzas = status
    .split(/\n\n+/)
    .map(fields)
    .filter((f) => f.get('status') === 'install ok installed' && f.has('package'));
  const providers = new Map<string, string>();
  for (const f of stanzas) {
    const name = f.get('package') ?? '';
    for (const virtual of names(f.get('provides')))
      if (!providers.has(virtual)) providers.set(virtual, name);
  }
  for (const f of stanzas) providers.set(f.get('package') ?? '', f.get('package') ?? '');
  return stanzas
    .map((f) => installed(f, providers))
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

function fields(stanza: string): Fields {
  const map = new Map<string, string>();
  let last = '';
  for (const line of stanza.split('\n')) {
    const match = /^([^\s:]+):\s*(.*)$/.exec(line);
    if (match !== null) map.set((last = (match[1] ?? '').toLowerCase()), match[2] ?? '');
    else if (last !== '') map.set(last, `${map.get(last) ?? ''}\n${line.trim()}`);
  }
  return map;
}

function installed(f: Fields, providers: ReadonlyMap<string, string>): InstalledPackage {
  const [name, version] = [f.get('package') ?? '', f.get('version') ?? ''];
  const [, source = name, sourceVersion = version] =
    /^(\S+)(?:\s+\(([^)]+)\))?$/.exec(f.get('source') ?? '') ?? [];
  const needs = new Set<string>();
  for (const group of `${f.get('depends') ?? ''},${f.get('pre-depends') ?? ''}`.split(',')) {
    const met = group.split('|').flatMap((one) => providers.get(bare(one)) ?? [])[0];
    if (met !== undefined && met !== name) needs.add(met);
  }
  return {
    format: 'deb',
    id: name,
    name,
    version,
    architecture: f.get('architecture') ?? '',
    source,
    sourceVersion,
    maintainer: f.get('maintainer') ?? '',
    homepage: f.get('homepage') ?? '',
    summary: (f.get('description') ?? '').split('\n')[0] ?? '',
    license: '',
    needs: [...needs].sort(),
  };
}

const names = (list: string | undefined): readonly string[] =>
  (list ?? '').split(',').flatMap((one) => (bare(one) === '' ? [] : [bare(one)]));

/** A name without version, architecture and space. */
const bare = (relation: string): string => /^\s*([a-z0-9][a-z0-9+.-]*)/.exec(relation)?.[1] ?? '';

/** The graph of what needs what, in Graphviz' language. */
export function dependencyDot(packages: readonly InstalledPackage[]): string {
  const edges = packages.flatMap((p) => p.needs.map((n) => `  "${p.id}" -> "${n}";\n`));
  const nodes = packages.map((p) => `  "${p.id}" [label="${p.name}\\n${p.version}"];\n`);
  return `digraph packages {\n  rankdir=LR;\n  node [shape=box];\n${nodes.join('')}${edges.join('')}}\n`;
}
