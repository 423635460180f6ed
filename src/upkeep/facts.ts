import type { Stats } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, hexOf, isErrno, isRecord, parseDigest, parseJson } from '../base/index.ts';
import type { Entry, Hold } from '../gc/index.ts';
import type { ChainRow, HeldNow, LayerRow, Measured, Pin, ResultRow } from '../ports/index.ts';
import { measureDisk } from '../snapshot/index.ts';
import type { UpkeepDeps } from './deps.ts';
import { type ImageFact, imageFacts } from './image-facts.ts';
import { Makers } from './makers.ts';
import { namesIn } from './names-in.ts';
import { packageDirs } from './package-dirs.ts';

/** Everything an inventory looks up more than once. */
export interface Facts {
  readonly layers: ReadonlyMap<string, LayerRow>;
  readonly chains: ReadonlyMap<number, ChainRow>;
  readonly results: readonly ResultRow[];
  /** Results by the layer on top of their chain. */
  readonly resultsOf: ReadonlyMap<string, readonly ResultRow[]>;
  readonly makers: Makers;
  readonly images: readonly ImageFact[];
  /** Images by the layers that they have. */
  readonly imagesWith: ReadonlyMap<Digest, readonly ImageFact[]>;
  readonly held: HeldNow;
  /** Pins that have not expired, by what they are on. */
  readonly pins: ReadonlyMap<string, Pin>;
  /** Layers of pinned builds, with the pin in words. */
  readonly buildPins: ReadonlyMap<string, readonly string[]>;
  readonly sizes: Sizes;
  /** What packages are called, by the hexadecimal of their digest, as far as a choice of packages names them. */
  readonly packageNames: ReadonlyMap<string, string>;
  readonly now: number;
}

/** Reads the database, and the manifests of the stored images. */
export async function gatherFacts(deps: UpkeepDeps): Promise<Facts> {
  const { db } = deps;
  const now = deps.clock.now();
  const chains = new Map(db.chains().map((row) => [row.id, row]));
  const results = db.results();
  const resultsOf = Map.groupBy(results, (row) => chains.get(row.chain)?.layer ?? '');
  const images = await imageFacts(deps);
  const live = db.pins().filter((pin) => pin.expiresAt === undefined || pin.expiresAt > now);
  return {
    layers: new Map(db.layers().map((row) => [row.id, row])),
    chains,
    results,
    resultsOf,
    makers: new Makers(db.executedSteps()),
    images,
    imagesWith: imagesWith(images),
    held: db.held(),
    pins: new Map(live.map((pin) => [pin.resource, pin])),
    buildPins: pinnedByBuilds(deps, { live, chains, results }),
    sizes: new Sizes(db.measured()),
    packageNames: await packageNames(packageDirs(deps.paths).map(({ path }) => join(path, 'lock'))),
    now,
  };
}

function imagesWith(images: readonly ImageFact[]): ReadonlyMap<Digest, readonly ImageFact[]> {
  const found = new Map<Digest, ImageFact[]>();
  for (const image of images)
    for (const diffId of image.diffIds) {
      const known = found.get(diffId);
      if (known === undefined) found.set(diffId, [image]);
      else known.push(image);
    }
  return found;
}

/** Choices of packages name what the pool knows by digest only; one that cannot be read names nothing. */
async function packageNames(dirs: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const names = new Map<string, string>();
  for (const file of dirs.flatMap((dir) => namesIn(dir).map((name) => join(dir, name)))) {
    const text = await readFile(file, 'utf8').catch((e: unknown) => {
      if (isErrno(e, 'ENOENT', 'EISDIR')) return '';
      throw e;
    });
    const parsed = parseJson(text.slice(text.indexOf('\n') + 1));
    const packages = parsed.ok && isRecord(parsed.value) ? parsed.value['packages'] : undefined;
    for (const each of Array.isArray(packages) ? (packages as readonly unknown[]) : []) {
      if (!isRecord(each)) continue;
      const { name, version, architecture, sha256 } = each;
      const digest = typeof sha256 === 'string' ? parseDigest(sha256) : undefined;
      if (digest !== undefined && typeof name === 'string')
        names.set(hexOf(digest), `${name} ${String(version)} (${String(architecture)})`);
    }
  }
  return names;
}

/** The layers that the steps of pinned builds made or used. */
function pinnedByBuilds(
  deps: UpkeepDeps,
  known: {
    readonly live: readonly Pin[];
    readonly chains: ReadonlyMap<number, ChainRow>;
    readonly results: readonly ResultRow[];
  },
): ReadonlyMap<string, readonly string[]> {
  const layers = new Map<string, string[]>();
  for (const pin of known.live) {
    if (!pin.resource.startsWith('build:')) continue;
    const id = pin.resource.slice('build:'.length);
    const keys = new Set(deps.history.steps(id).flatMap((step) => step.decision?.key ?? []));
    const seen = new Set<number>();
    for (const { digest, chain } of known.results) {
      if (!keys.has(digest)) continue;
      for (let at = known.chains.get(chain); at !== undefined && !seen.has(at.id); ) {
        seen.add(at.id);
        layers.set(at.layer, [
          ...(layers.get(at.layer) ?? []),
          `build ${short(id)} is ${pinText(pin)}`,
        ]);
        at = known.chains.get(at.parent);
      }
    }
  }
  return layers;
}

/** Disk space of trees; what cannot have changed since it was measured is not measured again. */
export class Sizes {
  readonly #known: ReadonlyMap<string, Measured>;
  readonly #counted = new Map<bigint, string>();
  /** What was measured now, to be remembered. */
  readonly fresh = new Map<string, Measured>();

  constructor(known: ReadonlyMap<string, Measured>) {
    this.#known = known;
  }

  /** Of a thing whose `stamp` changes whenever its size may have. */
  stamped(id: string, stamp: string, paths: readonly string[]): Pick<Entry, 'bytes' | 'shared'> {
    const known = this.#known.get(id);
    if (known?.stamp === stamp) return { bytes: known.bytes, shared: 0 };
    const use = this.now(paths);
    // A size with shared parts depends on what was measured before it: it is measured each time.
    if (use.shared === 0) this.fresh.set(id, { stamp, bytes: use.bytes });
    return use;
  }

  /** Of a path whose status is known: nothing more is asked of a file that has one name. */
  known(path: string, stat: Stats): Pick<Entry, 'bytes' | 'shared'> {
    return stat.isFile() && stat.nlink === 1
      ? { bytes: stat.blocks * 512, shared: 0 }
      : this.now([path]);
  }

  /** As it is now. */
  now(paths: readonly string[]): Pick<Entry, 'bytes' | 'shared'> {
    let [bytes, shared] = [0, 0];
    for (const path of paths) {
      const use = measureDisk(path, this.#counted);
      bytes += use.bytes;
      shared += use.shared;
    }
    return { bytes, shared };
  }
}

/** Holds by pins and leases on a resource. */
export function holdsOn(facts: Facts, resource: string): Hold[] {
  const holds: Hold[] = [];
  const pin = facts.pins.get(resource);
  if (pin !== undefined) holds.push({ by: 'pin', text: pinText(pin) });
  const purpose = facts.held.resources.get(resource);
  if (purpose !== undefined) holds.push({ by: 'lease', text: `${purpose} is at work with it` });
  return holds;
}

/** `pin "release 1.2"`. */
export function pinText(pin: Pin): string {
  return pin.reason === '' ? 'pinned' : `pinned: ${pin.reason}`;
}

/** The short form of a digest or of an entry's id. */
export const short = (digest: Digest | string): string =>
  digest.replace(/^(?:\w+:)?(?:sha256:|new:(?:packed:)?)/, '').slice(0, 12);
