import { join } from 'node:path';
import type { Digest } from '../base/index.ts';
import type { Hold } from '../gc/index.ts';
import type { ChainRow, HeldNow, LayerRow, Pin, ResultRow } from '../ports/index.ts';
import { type Choices, readChoices } from './choices.ts';
import type { UpkeepDeps } from './deps.ts';
import { type ImageFact, imageFacts } from './image-facts.ts';
import { Makers } from './makers.ts';
import { packageDirs } from './package-dirs.ts';
import type { Sizes } from './sizes.ts';

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
  /** What choices of packages say of the rest of `packages/`. */
  readonly choices: Choices;
  readonly now: number;
}

/** Reads the database, and the manifests of the stored images. */
export async function gatherFacts(deps: UpkeepDeps, sizes: Sizes): Promise<Facts> {
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
    sizes,
    choices: await readChoices(packageDirs(deps.paths).map(({ path }) => join(path, 'lock'))),
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
