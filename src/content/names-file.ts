import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import {
  byCodeUnit,
  FailureError,
  isErrno,
  isRecord,
  parseDigest,
  parseJson,
  temporaryName,
} from '../base/index.ts';
import type { ImageRow } from '../ports/index.ts';
import { storeFailure } from './failures.ts';

/** Annotation under which containerd and BuildKit keep an image's full name in an index. */
const NAME = 'io.containerd.image.name';
const CREATED = 'dev.varve.image.created';
const REF = 'org.opencontainers.image.ref.name';
const OWN: readonly string[] = [NAME, CREATED, REF];

/** The image names as the layout's own `index.json`: readable by other tools, and the copy a lost database is rebuilt from. */
export interface NamesFile {
  load(): readonly ImageRow[];
  save(rows: readonly ImageRow[]): void;
}

/** Names kept in `index.json` of the content store in `root` (OCI image-spec, image-layout.md). */
export function createNamesFile(root: string): NamesFile {
  const path = join(root, 'index.json');
  return {
    load: () => load(path),
    save: (rows) => save(root, path, rows),
  };
}

function load(path: string): readonly ImageRow[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (e) {
    if (isErrno(e, 'ENOENT')) return [];
    throw new Error(`reading ${path}`, { cause: e });
  }
  const json = parseJson(text);
  // A damaged index costs the names, not the start: it is written again with the next name.
  if (!json.ok || !isRecord(json.value) || !Array.isArray(json.value['manifests'])) return [];
  const manifests: readonly unknown[] = json.value['manifests'];
  return manifests.flatMap(rowOf);
}

function rowOf(value: unknown): ImageRow[] {
  if (!isRecord(value) || !isRecord(value['annotations'])) return [];
  const { mediaType, digest, size } = value;
  const name = value['annotations'][NAME];
  const created = Number(value['annotations'][CREATED] ?? 0);
  const parsed = typeof digest === 'string' ? parseDigest(digest) : undefined;
  if (typeof name !== 'string' || parsed === undefined) return [];
  if (typeof mediaType !== 'string' || typeof size !== 'number') return [];
  const rest = Object.entries(value['annotations']).filter(
    (pair): pair is [string, string] => !OWN.includes(pair[0]) && typeof pair[1] === 'string',
  );
  const target = { mediaType, digest: parsed, size };
  return [
    {
      name,
      target: rest.length === 0 ? target : { ...target, annotations: Object.fromEntries(rest) },
      createdAt: Number.isFinite(created) ? created : 0,
    },
  ];
}

function save(root: string, path: string, rows: readonly ImageRow[]): void {
  const manifests = [...rows]
    .sort((a, b) => byCodeUnit(a.name, b.name))
    .map((row) => ({
      mediaType: row.target.mediaType,
      digest: row.target.digest,
      size: row.target.size,
      annotations: {
        ...row.target.annotations,
        [CREATED]: String(row.createdAt),
        [NAME]: row.name,
        [REF]: row.name.slice(row.name.lastIndexOf(':') + 1),
      },
    }));
  const tmp = join(root, temporaryName('index'));
  try {
    mkdirSync(root, { recursive: true });
    const fd = openSync(tmp, 'wx', 0o644);
    try {
      const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, manifests }));
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(tmp, path);
  } catch (e) {
    rmSync(tmp, { force: true });
    const known = storeFailure(e, `writing ${path}`);
    throw known === undefined ? e : new FailureError(known);
  }
}
