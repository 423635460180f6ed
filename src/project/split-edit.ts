import {
  Document,
  isMap,
  isScalar,
  isSeq,
  type Pair,
  parseDocument,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import { byCodeUnit, err, failure, ok, type Result, type SourceFile } from '../base/index.ts';
import type { LayerList } from './lists.ts';
import { parseProject } from './parse.ts';
import type { LayerSpec, Project } from './project.ts';
import { type PoolPiece, type SplitPool, withoutSpans } from './split-pools.ts';
import { applySplices, entryEnd, itemsText, type Splice, textOf } from './yaml-splices.ts';

/** A pool and what it becomes. */
export interface PoolChange {
  readonly pool: SplitPool;
  readonly pieces: readonly PoolPiece[];
}

type Env = Readonly<Record<string, string | undefined>>;

/**
 * The text of a project file in which the layers of pools are put together anew; comments and everything else stay as they
 * are. The result is read again: where it would not say what was meant, nothing is changed and the failure says so.
 */
export function editPools(
  project: Project,
  changes: readonly PoolChange[],
  env: Env,
): Result<SourceFile> {
  const { file } = project;
  const document = parseDocument(file.text);
  const layers = document.getIn(['layers'], true);
  const splices: Splice[] = [];
  for (const change of changes) {
    const own = isMap(layers) ? layerSplices(file.text, layers, change) : undefined;
    if (own === undefined) return err(cannotEdit(project, change));
    splices.push(...own, ...mentionSplices(file.text, document, change));
  }
  const edited = { path: file.path, text: applySplices(file.text, splices) };
  const again = parseProject(edited, env);
  const same = again.ok && shapeOf(again.value.layers) === shapeOf(expected(project, changes));
  const [first] = changes;
  return same || first === undefined ? ok(edited) : err(cannotEdit(project, first));
}

function cannotEdit(project: Project, { pool }: PoolChange): ReturnType<typeof failure> {
  const [layer] = pool.layers;
  return failure('PJ014', 2, `layer "${layer?.name ?? ''}" cannot be edited where it is written`, {
    help: 'write its inputs in the layer itself, without anchors and not inherited; or make the change by hand',
    places: layer === undefined ? [] : [{ file: project.file, span: layer.span }],
  });
}

/** The layers that the edited file has to describe. */
function expected(
  project: Project,
  changes: readonly PoolChange[],
): ReadonlyMap<string, LayerSpec> {
  const members = new Set(changes.flatMap(({ pool }) => pool.layers.map(({ name }) => name)));
  const renamed = (names: readonly string[]): readonly string[] => [
    ...names.filter((name) => !members.has(name)),
    ...changes
      .filter(({ pool }) => pool.layers.some(({ name }) => names.includes(name)))
      .flatMap(({ pieces }) => pieces.map(({ name }) => name)),
  ];
  const layers = new Map<string, LayerSpec>();
  for (const layer of project.layers.values())
    if (!members.has(layer.name)) layers.set(layer.name, { ...layer, needs: renamed(layer.needs) });
  for (const { pool, pieces } of changes)
    for (const { name, from, lists, files, steps } of pieces) {
      const layer = pool.layers.find((each) => each.name === from);
      if (layer === undefined) throw new Error(`layer ${from} is no part of its pool`);
      const { recipe } = layer;
      layers.set(name, {
        ...{ ...layer, name, lists, needs: renamed(layer.needs) },
        ...(files === undefined ? {} : { files }),
        recipe:
          recipe.kind === 'steps' && steps !== undefined
            ? { kind: 'steps', steps: recipe.steps.filter((_, i) => steps.includes(i)) }
            : recipe,
      });
    }
  return layers;
}

function shapeOf(layers: ReadonlyMap<string, LayerSpec>): string {
  const shapes = [...layers.values()].map(({ span: _span, needs, name, ...rest }) => {
    const members = Object.entries(rest).sort(([a], [b]) => byCodeUnit(a, b));
    return JSON.stringify([name, [...needs].sort(byCodeUnit), members], withoutSpans);
  });
  return shapes.sort(byCodeUnit).join('\n');
}

/** What changes in the map of layers; undefined where a layer does not have its inputs itself. */
function layerSplices(
  text: string,
  layers: YAMLMap,
  { pool, pieces }: PoolChange,
): readonly Splice[] | undefined {
  const splices: Splice[] = [];
  const kept = new Set(pieces.map(({ name }) => name));
  for (const { name } of pool.layers) {
    const pair = pairOf(layers, name);
    const entry = pair === undefined ? undefined : entryOf(text, layers, pair);
    if (pair === undefined || entry === undefined) return undefined;
    if (!kept.has(name)) splices.push(removalOf(text, layers, entry));
    const added: string[] = [];
    for (const piece of pieces.filter(({ from }) => from === name)) {
      const own = inputSplices(text, pair, piece);
      if (own === undefined) return undefined;
      if (piece.name === name) splices.push(...own);
      else {
        const source = text.slice(entry.from, entry.to);
        const moved = own.map((s) => ({ ...s, from: s.from - entry.from, to: s.to - entry.from }));
        const key = { from: entry.key[0] - entry.from, to: entry.key[1] - entry.from };
        added.push(applySplices(source, [{ ...key, text: piece.name }, ...moved]));
      }
    }
    const apart = /\n[ \t]*\n$/.test(text.slice(0, entry.lineFrom));
    const blank = apart || /^[ \t]*\n/.test(text.slice(entry.to)) ? '\n' : '';
    for (const block of added)
      splices.push({
        from: entry.to,
        to: entry.to,
        text: layers.flow === true ? `, ${block}` : `${blank}${block}`,
      });
  }
  return splices;
}

interface Entry {
  readonly from: number;
  readonly to: number;
  /** Where the line of the key begins. */
  readonly lineFrom: number;
  readonly key: readonly [number, number];
}

function entryOf(text: string, layers: YAMLMap, { key, value }: Pair): Entry | undefined {
  if (!isScalar(key) || !key.range || !isMap(value) || !value.range || value.anchor !== undefined)
    return undefined;
  const lineFrom = text.lastIndexOf('\n', key.range[0]) + 1;
  const range = [key.range[0], key.range[1]] as const;
  if (layers.flow === true) return { from: key.range[0], to: value.range[1], lineFrom, key: range };
  return { from: lineFrom, to: entryEnd(text, value.range[1]), lineFrom, key: range };
}

/** An entry of a flow map goes with its comma. */
function removalOf(text: string, layers: YAMLMap, { from, to }: Entry): Splice {
  if (layers.flow !== true) return { from, to, text: '' };
  const comma = /^\s*,\s*/.exec(text.slice(to))?.[0].length ?? 0;
  return { from, to: to + comma, text: '' };
}

const pairOf = (map: YAMLMap, name: string): Pair | undefined =>
  map.items.find(({ key }) => isScalar(key) && key.value === name);

/** The inputs and steps of a piece in place of those of the layer it comes from. */
function inputSplices(
  text: string,
  { value: layer }: Pair,
  { lists, files, steps }: PoolPiece,
): readonly Splice[] | undefined {
  if (!isMap(layer)) return undefined;
  const splices: Splice[] = [];
  const replace = (
    path: readonly string[],
    items: (seq: YAMLSeq) => readonly string[],
  ): boolean => {
    const seq = layer.getIn(path, true);
    if (!isSeq(seq) || !seq.range || seq.anchor !== undefined) return false;
    const [from, to] = seq.range;
    const trimmed = from + text.slice(from, to).trimEnd().length;
    splices.push({ from, to: trimmed, text: itemsText(text, seq, items(seq)) });
    return true;
  };
  const written = (items: readonly unknown[]) => (): readonly string[] => items.map(flowText);
  const done =
    files === undefined || steps === undefined
      ? replace(['inputs', 'lists'], written(lists.map(listValue)))
      : replace(['inputs', 'files'], written(files)) &&
        replace(['steps'], (seq) => steps.map((i) => textOf(text, seq.items[i])));
  return done ? splices : undefined;
}

const listValue = ({ path, ...parts }: LayerList): unknown =>
  Object.keys(parts).length === 0 ? path : { list: path, ...parts };

function flowText(value: unknown): string {
  const document = new Document(value);
  if (isMap(document.contents)) document.contents.flow = true;
  return document.toString({ lineWidth: 0, flowCollectionPadding: false }).trimEnd();
}

/** Names of new layers behind those they come from, and without those that are gone, wherever layers are named. */
function mentionSplices(
  text: string,
  document: Document,
  { pool, pieces }: PoolChange,
): readonly Splice[] {
  const members = pool.layers.map(({ name }) => name);
  const kept = new Set(pieces.map(({ name }) => name));
  const added = pieces.map(({ name }) => name).filter((name) => !members.includes(name));
  return mentionLists(document).flatMap((seq) => {
    const names = seq.items.map((item) => (isScalar(item) ? String(item.value) : ''));
    if (!names.some((name) => members.includes(name)) || !seq.range) return [];
    const last = names.findLastIndex((name) => members.includes(name) && kept.has(name));
    const items = seq.items.flatMap((item, i) => {
      const gone = members.includes(names[i] ?? '') && !kept.has(names[i] ?? '');
      return [...(gone ? [] : [textOf(text, item)]), ...(i === last ? added : [])];
    });
    const [from, to] = seq.range;
    const trimmed = from + text.slice(from, to).trimEnd().length;
    return [{ from, to: trimmed, text: itemsText(text, seq, items) }];
  });
}

/** The sequences of a project file that name layers. */
function mentionLists(document: Document): readonly YAMLSeq[] {
  const under = (top: string, keys: readonly string[]): readonly YAMLSeq[] => {
    const map = document.getIn([top], true);
    const values = isMap(map) ? map.items.map(({ value }) => value) : [];
    if (keys.length === 0) return values.filter(isSeq);
    return values
      .filter(isMap)
      .flatMap((value) => keys.map((key): unknown => value.get(key, true)).filter(isSeq));
  };
  return [...under('layers', ['needs']), ...under('images', ['layers']), ...under('groups', [])];
}
