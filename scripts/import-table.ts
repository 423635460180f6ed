/** The folder ranks of ARCHITECTURE.md as data: a folder imports lower ranks only, and only through their index.ts. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';

const RANKS: Readonly<Record<string, number>> = {
  base: 0,
  sys: 1,
  events: 1,
  oci: 1,
  archive: 1,
  chunks: 1,
  erofs: 1,
  ext4: 1,
  dockerfile: 1,
  llb: 1,
  rpm: 1,
  diskread: 1,
  template: 1,
  disk: 2,
  lower: 2,
  cachekey: 2,
  advice: 2,
  causes: 2,
  project: 2,
  gc: 2,
  attest: 3,
  ports: 3,
  http: 3,
  content: 4,
  snapshot: 4,
  cachedb: 4,
  registry: 4,
  context: 4,
  sandbox: 4,
  fetch: 4,
  packages: 4,
  remotes: 4,
  fileindex: 4,
  ops: 5,
  solve: 5,
  image: 6,
  analyze: 6,
  explain: 6,
  upkeep: 6,
  report: 7,
  export: 7,
  build: 8,
  cli: 9,
};

/** Folders that the design names and that may not exist yet are added here with the folder. */
const IMPORT =
  /^(?:import|export)\s[^;]*?from\s+'([^']+)'|^import\s+'([^']+)'|\bimport\('([^']+)'\)/gm;

/** Checks every import below `root`; returns one line a violation, stale table rows included. */
export function checkImports(root: string): string[] {
  const problems: string[] = [];
  const folders = new Set(
    readdirSync(root, { withFileTypes: true })
      .filter((e) => e.isDirectory())
      .map((e) => e.name),
  );
  for (const row of Object.keys(RANKS))
    if (!folders.has(row)) problems.push(`import table: row "${row}" names no folder`);
  for (const folder of folders)
    if (!(folder in RANKS)) problems.push(`import table: folder "${folder}" has no row`);
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((f) =>
    f.endsWith('.ts'),
  );
  for (const file of files) {
    const text = readFileSync(join(root, file), 'utf8');
    for (const match of text.matchAll(IMPORT)) {
      const target = match[1] ?? match[2] ?? match[3] ?? '';
      if (!target.startsWith('.')) continue;
      const problem = checkImport(file, normalize(join(dirname(file), target)));
      if (problem !== undefined)
        problems.push(
          `${join(root, file)}: ${problem} (${relative(root, join(root, dirname(file), target))})`,
        );
    }
  }
  return problems;
}

function checkImport(from: string, to: string): string | undefined {
  const [source, target] = [from.split('/')[0] ?? '', to.split('/')[0] ?? ''];
  if (to.startsWith('..')) return 'imports from outside src';
  if (source === target) {
    return to === `${target}/index.ts` ? 'imports its own index.ts' : undefined;
  }
  if (to !== `${target}/index.ts`) return `imports ${target} around its index.ts`;
  const [a, b] = [RANKS[source], RANKS[target]];
  if (a === undefined || b === undefined) return 'folder without a rank';
  return b < a ? undefined : `rank ${a} (${source}) may not import rank ${b} (${target})`;
}
