import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FailureError, isErrno, linesOf, removeAbandoned, temporaryName } from '../base/index.ts';
import type { EarlierData } from './pack-data.ts';
import { COPIED, LARGE } from './pack-index.ts';
import type { PackView } from './pack-view.ts';

/** So many layers are remembered of one name: a few contexts and branches that take turns. */
const KEPT = 4;

/**
 * Which packed layers were made last under a name, in `recent/<hash>`: one name of a layer directory a line, the latest
 * first. It only saves work: a lost or wrong file costs reading the sources again.
 */
export class RecentPacks {
  readonly #dir: string;

  constructor(root: string) {
    this.#dir = join(root, 'recent');
  }

  /** Directory names of the layers made last under a name. */
  of(like: string): string[] {
    return linesOf(this.#path(like))
      .filter((name) => NAME.test(name))
      .slice(0, KEPT);
  }

  add(like: string, name: string): void {
    const names = [name, ...this.of(like).filter((other) => other !== name)].slice(0, KEPT);
    mkdirSync(this.#dir, { recursive: true });
    const temporary = join(this.#dir, temporaryName('names'));
    writeFileSync(temporary, `${names.join('\n')}\n`);
    renameSync(temporary, this.#path(like));
  }

  /** Forgets names whose layers are gone. */
  sweep(exists: (name: string) => boolean): void {
    removeAbandoned(this.#dir);
    for (const file of namesOf(this.#dir)) {
      // Another process is about to give it its name.
      if (file.startsWith('.')) continue;
      const path = join(this.#dir, file);
      const names = linesOf(path);
      if (!names.some((name) => NAME.test(name) && exists(name))) rmSync(path, { force: true });
    }
  }

  #path(like: string): string {
    return join(this.#dir, createHash('sha256').update(like).digest('hex').slice(0, 24));
  }
}

const NAME = /^[0-9a-f]{24}\.pack$/;

function namesOf(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch (e) {
    if (isErrno(e, 'ENOENT')) return [];
    throw e;
  }
}

/** A further layer is looked into once so many files were not found: opening it costs more than reading a few files. */
const MISSES_PER_LAYER = 64;

/** The data of earlier packed layers, looked up by digest; what is damaged is not there. */
export class EarlierPacks implements EarlierData {
  readonly #open: () => readonly PackView[];
  readonly #tables: Table[] = [];
  #unopened: PackView[] | undefined;
  #misses = 0;

  constructor(open: () => readonly PackView[]) {
    this.#open = open;
  }

  find(digest: Uint8Array, size: number): Uint8Array | undefined {
    this.#unopened ??= [...this.#open()];
    const wanted = 1 + Math.floor(this.#misses / MISSES_PER_LAYER);
    for (let i = 0; i < wanted; i++) {
      const table = this.#table(i);
      if (table === undefined) break;
      const row = rowOf(table.pack, table.slots, digest, size);
      const data = row === undefined ? undefined : unlessDamaged(() => table.pack.data(row));
      if (data !== undefined) return data;
    }
    this.#misses++;
    return undefined;
  }

  #table(at: number): Table | undefined {
    while (this.#tables.length <= at) {
      const pack = this.#unopened?.shift();
      if (pack === undefined) return undefined;
      this.#tables.push(...tableOf(pack));
    }
    return this.#tables[at];
  }
}

interface Table {
  readonly pack: PackView;
  /** Open addressing by the first 32 bits of the digest; -1 is free. */
  readonly slots: Int32Array;
}

function tableOf(pack: PackView): Table[] {
  const index = unlessDamaged(() => pack.index);
  if (index === undefined) return [];
  const slots = new Int32Array(2 ** Math.ceil(Math.log2(Math.max(8, index.count * 2)))).fill(-1);
  for (let row = 0; row < index.count; row++) {
    if (((index.flags[row] ?? 0) & (COPIED | LARGE)) !== COPIED) continue;
    let slot = index.digestWord(row) & (slots.length - 1);
    while (slots[slot] !== -1) slot = (slot + 1) & (slots.length - 1);
    slots[slot] = row;
  }
  return [{ pack, slots }];
}

function rowOf(
  pack: PackView,
  slots: Int32Array,
  digest: Uint8Array,
  size: number,
): number | undefined {
  const { index } = pack;
  const word = new DataView(digest.buffer, digest.byteOffset).getUint32(0);
  for (let slot = word & (slots.length - 1); ; slot = (slot + 1) & (slots.length - 1)) {
    const row = slots[slot] ?? -1;
    if (row === -1) return undefined;
    if (index.digestWord(row) === word && index.size[row] === size && index.hasDigest(row, digest))
      return row;
  }
}

function unlessDamaged<T>(get: () => T): T | undefined {
  try {
    return get();
  } catch (e) {
    if (e instanceof FailureError || isErrno(e, 'ENOENT')) return undefined;
    throw e;
  }
}
