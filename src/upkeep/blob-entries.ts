import { lstatSync } from 'node:fs';
import { type Digest, isRecord, parseDigest, parseJson } from '../base/index.ts';
import type { Cost, Entry } from '../gc/index.ts';
import type { LayerRow } from '../ports/index.ts';
import type { UpkeepDeps } from './deps.ts';
import { compressing, downloading, FREE, running } from './estimate.ts';
import { type Facts, holdsOn, pinText, short } from './facts.ts';
import {
  blobsHere,
  costOfLosing,
  type Forms,
  type LayerUse,
  makerOf,
  type Parents,
} from './layer-entries.ts';

/** The namespace in which `image/` remembers layers with rewritten times; its keys begin with the layer's id. */
const REWRITES = 'layer-rewrite.v1';

/** The layers that a blob is a form of, the oldest first. */
interface LayersOfBlob {
  readonly rows: readonly LayerRow[];
  /** It is one of them with other times. */
  readonly rewritten: boolean;
}

/** Layers by the digests of their compressed forms, those with rewritten times included. */
function layersOfBlobs(
  deps: Pick<UpkeepDeps, 'db'>,
  facts: Facts,
): ReadonlyMap<Digest, LayersOfBlob> {
  const found = new Map<Digest, LayersOfBlob>();
  for (const { key, value } of deps.db.memos(REWRITES)) {
    const row = facts.layers.get(key.split(' ')[0] ?? '');
    const parsed = parseJson(Buffer.from(value).toString('utf8'));
    const blob = parsed.ok && isRecord(parsed.value) ? parsed.value['blob'] : undefined;
    const digest = isRecord(blob) ? parseDigest(String(blob['digest'])) : undefined;
    if (row !== undefined && digest !== undefined)
      found.set(digest, { rows: [row], rewritten: true });
  }
  const layers = [...facts.layers.values()].sort(
    (a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1),
  );
  const plain = Map.groupBy(
    layers.flatMap((row) => row.blobs.map(({ digest }) => ({ digest, row }))),
    ({ digest }) => digest,
  );
  for (const [digest, pairs] of plain)
    found.set(digest, { rows: pairs.map(({ row }) => row), rewritten: false });
  return found;
}

/** Entries for blobs. */
export function blobEntries(
  deps: UpkeepDeps,
  facts: Facts,
  shared: {
    readonly forms: Forms;
    readonly parents: Parents;
    readonly uses: ReadonlyMap<string, LayerUse>;
  },
): Entry[] {
  const layers = layersOfBlobs(deps, facts);
  const users = imagesOfBlobs(facts);
  return [...shared.forms.blobs].flatMap(([digest, size]) => {
    const path = deps.content.path(digest);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return [];
    const id = `blob:${digest}`;
    const { rows, rewritten } = layers.get(digest) ?? NO_LAYERS;
    const images = users.get(digest) ?? [];
    const uses = rows.flatMap((row) => shared.uses.get(row.id) ?? []);
    const createdAt = Math.max(0, stat.mtimeMs);
    const [first] = rows;
    const made = first === undefined ? undefined : makerOf(facts, first.id, first);
    return [
      {
        id,
        kind: 'blob' as const,
        label: made?.label ?? images[0]?.what ?? 'manifest, configuration or data',
        ...facts.sizes.known(path, stat),
        createdAt,
        usedAt: Math.max(createdAt, ...uses.map((use) => use.usedAt)),
        uses: uses.reduce((sum, use) => sum + use.uses, 0),
        madeBy: made?.madeBy ?? {},
        usedBy: [
          ...images.map((image) => `image ${image.name}`),
          ...rows.map((row) => `layer ${short(row.id)}`),
        ],
        holds: [
          ...holdsOn(facts, id),
          ...images.map((image) => ({ by: 'image' as const, text: `image ${image.name}` })),
          // A layer that a process works with needs its compressed forms too.
          ...rows.flatMap((row) => holdsOn(facts, `layer:${row.id}`)),
        ],
        ...formsOf(facts, { rows, rewritten }, { digest, size, shared }),
        paths: [path],
      },
    ];
  });
}

const NO_LAYERS: LayersOfBlob = { rows: [], rewritten: false };

/** What a blob shares with the extracted copies of its layers, and what losing it means. */
function formsOf(
  facts: Facts,
  { rows, rewritten }: LayersOfBlob,
  known: {
    readonly digest: Digest;
    readonly size: number;
    readonly shared: { readonly forms: Forms; readonly parents: Parents };
  },
): Pick<Entry, 'parents' | 'twins' | 'cost' | 'lastCost' | 'formsOf'> {
  const { digest, size, shared } = known;
  const isOurs = rows.some((row) => row.origin === undefined);
  const cost: Cost = isOurs ? compressing(size) : downloading(size);
  // A copy with other times is never what a cached result is made from.
  if (rewritten || rows.length === 0) return { parents: [], twins: [], cost, lastCost: cost };
  const forms = rows.map((row) => ({
    layer: row.id,
    elsewhere: row.origin !== undefined,
    twins: [
      ...(shared.forms.dirs.has(row.id) ? [`layer:${row.id}`] : []),
      ...blobsHere(row, shared.forms)
        .filter((other) => other !== digest)
        .map((other) => `blob:${other}`),
    ],
  }));
  const parents = new Set(rows.flatMap((row) => shared.parents.of(row.id, 'packed')));
  parents.delete(`blob:${digest}`);
  return {
    parents: [...parents].sort(),
    twins: [...new Set(forms.flatMap(({ twins }) => twins))],
    cost,
    lastCost: rows.map((row) => costOfLosing(facts, row.id, size)).reduce(dearer),
    formsOf: forms,
  };
}

const dearer = (a: Cost, b: Cost): Cost => (b.ms > a.ms ? b : a);

function imagesOfBlobs(
  facts: Facts,
): ReadonlyMap<Digest, readonly { readonly name: string; readonly what: string }[]> {
  const users = new Map<Digest, { readonly name: string; readonly what: string }[]>();
  for (const image of facts.images)
    for (const [digest, what] of image.blobs)
      users.set(digest, [
        ...(users.get(digest) ?? []),
        { name: image.familiar, what: `${what} of ${image.familiar}` },
      ]);
  return users;
}

/** Entries for the names of images: they weigh nothing, and hold what they name. */
export function imageEntries(facts: Facts): Entry[] {
  return facts.images.map(({ row, familiar, blobs }) => {
    const pin = facts.pins.get(`image:${row.name}`);
    return {
      id: `image:${row.name}`,
      kind: 'image' as const,
      label: familiar,
      bytes: 0,
      shared: 0,
      createdAt: row.createdAt,
      usedAt: row.createdAt,
      uses: 0,
      madeBy: {},
      usedBy: [`${blobs.size} blobs belong to it`],
      holds: [
        { by: 'image' as const, text: 'a name that somebody gave' },
        ...(pin === undefined ? [] : [{ by: 'pin' as const, text: pinText(pin) }]),
      ],
      parents: [],
      twins: [],
      cost: FREE,
      lastCost: FREE,
      paths: [],
    };
  });
}

/** Entries for cache records: their bytes are in the database. */
export function recordEntries(facts: Facts, forms: Forms): Entry[] {
  return facts.results.map((result) => {
    const layer = facts.chains.get(result.chain)?.layer;
    const made = facts.makers.of(result);
    const dir = layer !== undefined && forms.dirs.has(layer) ? [`layer:${layer}`] : [];
    const blobs = (layer === undefined ? [] : (facts.layers.get(layer)?.blobs ?? []))
      .filter((b) => forms.blobs.has(b.digest))
      .map((b) => `blob:${b.digest}`);
    const cost = running(result.costMs);
    return {
      id: `record:${result.record}@${result.chain}`,
      kind: 'record' as const,
      label: (
        made?.name ??
        facts.makers.named(result.digest)?.name ??
        `record ${short(result.digest)}`
      ).replaceAll(/\s+/g, ' '),
      bytes: 0,
      shared: 0,
      createdAt: result.createdAt,
      usedAt: result.usedAt,
      uses: result.uses,
      madeBy: made === undefined ? {} : { build: made.build, step: made.name },
      usedBy: [],
      holds: [{ by: 'store' as const, text: 'it goes with the layers it leads to' }],
      parents: dir.length > 0 ? dir : blobs.slice(0, 1),
      twins: [],
      cost,
      lastCost: cost,
      paths: [],
    };
  });
}
