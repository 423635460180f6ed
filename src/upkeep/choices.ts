import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hexOf, isErrno, isRecord, parseDigest, parseJson, redact } from '../base/index.ts';
import { namesIn } from './names-in.ts';

/** What the choices of packages that are remembered name: the rest of `packages/` is known by digests only. */
export interface Choices {
  /** Choices by the name of their file, in words. */
  readonly labels: ReadonlyMap<string, string>;
  /** Packages by the hexadecimal of their digest. */
  readonly packages: ReadonlyMap<string, ChosenPackage>;
  /** Repositories by the hexadecimal of the digest of a Release file. */
  readonly releases: ReadonlyMap<string, string>;
}

/** A package that was chosen. */
export interface ChosenPackage {
  readonly label: string;
  /** The repository that has it. */
  readonly from: string;
  /** In words, the choices that have it. */
  readonly usedBy: readonly string[];
}

/** Reads all in these directories; one that cannot be read names nothing. */
export async function readChoices(dirs: readonly string[]): Promise<Choices> {
  const found = {
    labels: new Map<string, string>(),
    packages: new Map<string, ChosenPackage>(),
    releases: new Map<string, string>(),
  };
  const files = dirs.flatMap((dir) => namesIn(dir).map((name) => [dir, name] as const));
  for (const [dir, file] of files) {
    const text = await readFile(join(dir, file), 'utf8').catch((e: unknown) => {
      if (isErrno(e, 'ENOENT', 'EISDIR')) return '';
      throw e;
    });
    const parsed = parseJson(text.slice(text.indexOf('\n') + 1));
    if (!parsed.ok || !isRecord(parsed.value)) continue;
    const { distribution, suite, packages, sources } = parsed.value;
    const chosen = recordsOf(packages);
    const label = `choice of ${chosen.length} packages for ${String(distribution)} ${String(suite)}`;
    found.labels.set(file, label);
    const repositories = recordsOf(sources).map((source) => ({
      text: `${redact(String(source['uri']))} ${String(source['suite'])}`,
      release: source['release'],
    }));
    for (const { text: repository, release } of repositories) {
      const digest = typeof release === 'string' ? parseDigest(release) : undefined;
      if (digest !== undefined) found.releases.set(hexOf(digest), repository);
    }
    for (const { name, version, architecture, sha256, source } of chosen) {
      const digest = typeof sha256 === 'string' ? parseDigest(sha256) : undefined;
      if (digest === undefined || typeof name !== 'string') continue;
      const known = found.packages.get(hexOf(digest));
      found.packages.set(hexOf(digest), {
        label: `${name} ${String(version)} (${String(architecture)})`,
        from: repositories[Number(source)]?.text ?? 'a repository',
        usedBy: [...(known?.usedBy ?? []), label],
      });
    }
  }
  return found;
}

function recordsOf(list: unknown): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(list) ? (list as readonly unknown[]).filter(isRecord) : [];
}
