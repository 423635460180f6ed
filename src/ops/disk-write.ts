import {
  chmodSync,
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import {
  err,
  FailureError,
  failure,
  fsPath,
  ok,
  type Result,
  writeAllSync,
} from '../base/index.ts';
import type { FileTree } from '../cachekey/index.ts';
import { DOS_ENTRIES, gptOf, mbrOf } from '../disk/index.ts';
import { writeExt4 } from '../ext4/index.ts';
import type { DiskInput, DiskPart, DiskStep } from '../llb/index.ts';
import type { OpContext, OpResult } from '../ports/index.ts';
import { seek, setTimes } from '../sys/index.ts';
import type { DiskDeps } from './disk-driver.ts';
import { openData, partOfTree, resolved } from './disk-input.ts';
import { readDiskStep } from './disk-spec.ts';

const MIB = 1024 * 1024;
const BLOCK = 4096;
const SECOND = 1_000_000_000n;

/** Writes the disk of a step: every byte of it once, straight from the trees of its inputs; nothing is mounted. */
export async function writeDisk(
  deps: DiskDeps,
  context: OpContext,
  inputs: readonly OpResult[],
): Promise<Result<readonly OpResult[]>> {
  const { body } = context.vertex.op;
  if (body.kind !== 'exec') throw new Error(`a disk was given as a ${body.kind} op`);
  const { mounts, meta } = body.exec;
  const step = readDiskStep(meta.args[1] ?? '');
  if (!step.ok) return err(malformed(step.error));
  const trees = new Map<string, FoundInput>();
  for (const { dest, input, selector } of mounts) {
    const chain = inputs[input];
    if (dest === '/' || chain === undefined) continue;
    const tree = await deps.trees.tree(chain, context);
    if (!tree.ok) return tree;
    trees.set(dest, { tree: tree.value, path: selector });
  }
  const find = ({ mount, path }: DiskInput): FoundInput => {
    const found = trees.get(mount);
    if (found === undefined) throw new FailureError(malformed(`nothing is mounted at ${mount}`));
    return { tree: found.tree, path: join('/', found.path, path) };
  };
  try {
    return await writeLayer(deps, step.value, { find, context });
  } catch (e) {
    if (e instanceof FailureError) return err(e.failure);
    throw e;
  }
}

const malformed = (what: string): ReturnType<typeof failure> =>
  failure('GR012', 2, `malformed disk step: ${what}`);

interface FoundInput {
  readonly tree: FileTree;
  readonly path: string;
}

interface Given {
  readonly find: (input: DiskInput) => FoundInput;
  readonly context: OpContext;
}

/** The layer that holds the disk and nothing else. */
async function writeLayer(
  deps: DiskDeps,
  step: DiskStep,
  given: Given,
): Promise<Result<readonly OpResult[]>> {
  const { tree, path } = given.find(step.newest);
  const newestNs = tree.lstat(resolved(tree, path))?.mtimeNs ?? 0n;
  await using layer = await deps.snapshotter.begin([]);
  const file = join(layer.upper, step.file);
  const dir = dirname(file);
  mkdirSync(fsPath(dir));
  chmodSync(fsPath(dir), 0o755);
  const fd = openSync(fsPath(file), 'wx');
  try {
    await writeParts(fd, step, { ...given, epoch: Number(newestNs / SECOND) });
  } finally {
    closeSync(fd);
  }
  chmodSync(fsPath(file), 0o644);
  for (const at of [file, dir]) setTimes(at, { atimeNs: newestNs, mtimeNs: newestNs });
  return ok([[await layer.commit({ createdAt: deps.clock.now() })]]);
}

async function writeParts(
  fd: number,
  step: DiskStep,
  given: Given & { readonly epoch: number },
): Promise<void> {
  const { parts, table } = step;
  let end = 0;
  const placed: Placed[] = [];
  for (const part of parts) {
    const made = await writePart(fd, part, given);
    const size = part.size ?? Math.ceil(made / MIB) * MIB;
    if (made > size)
      throw doesNotFit(part, `its content has ${made} bytes, the partition has ${size}`);
    placed.push({ part, size });
    end = Math.max(end, part.start + size);
  }
  if (table === undefined) {
    ftruncateSync(fd, end);
    return;
  }
  // Room for the second table.
  const disk = table.size ?? end + MIB;
  const halves = await halvesOf(step, given);
  const entries = placed.flatMap(({ part, size }) => {
    const { name, start, entry } = part;
    if (entry === undefined) return [];
    if (table.kind === 'dos' && entry.index > DOS_ENTRIES)
      throw doesNotFit(part, `a table of MBR has ${DOS_ENTRIES} rows`);
    const uuid = typeof entry.uuid === 'number' ? (halves[entry.uuid] ?? '') : entry.uuid;
    return [{ ...entry, uuid, name, start, size }];
  });
  if (table.kind === 'dos') writeAllSync(fd, mbrOf(table.id, entries), 0);
  else {
    const { head, tail } = gptOf(table.id, disk, entries);
    writeAllSync(fd, head, 0);
    writeAllSync(fd, tail, Math.floor(disk / 512) * 512 - tail.length);
  }
  ftruncateSync(fd, disk);
}

interface Placed {
  readonly part: DiskPart;
  readonly size: number;
}

/** The halves of the root hash; none where the disk has no hashes. */
async function halvesOf(
  { rootHash }: DiskStep,
  { find, context }: Given,
): Promise<readonly string[]> {
  if (rootHash === undefined) return [];
  const { tree, path } = find(rootHash);
  using data = openData(tree, path, context.signal);
  const text = Buffer.alloc(64);
  await data.read(text, 0, text.length);
  return [text.toString('latin1', 0, 32), text.toString('latin1', 32, 64)];
}

const doesNotFit = ({ name }: DiskPart, why: string): FailureError =>
  new FailureError(
    failure('TP009', 2, `partition ${name} cannot be made: ${why}`, {
      help: 'give it a later end, or end: "0" for the rest of the disk',
    }),
  );

/** Writes one partition, and answers how many bytes it takes. */
async function writePart(
  fd: number,
  part: DiskPart,
  { find, epoch, context: { signal } }: Given & { readonly epoch: number },
): Promise<number> {
  const { content, start, size } = part;
  const { tree, path } = find(content);
  if (content.kind === 'image') return await copyImage(fd, start, { tree, path, signal });
  const made = await writeExt4(
    partOfTree(tree, { path, emptied: content.emptied }, signal),
    { write: (bytes, at) => writeAllSync(fd, bytes, start + at) },
    {
      ...(size === undefined ? {} : { size }),
      ...{ uuid: Buffer.from(content.uuid.replaceAll('-', ''), 'hex'), label: content.label },
      ...{ epoch, signal },
    },
  );
  if (!made.ok) throw doesNotFit(part, made.error);
  return made.value;
}

/** Copies a file to a place on the disk; blocks of zeros stay holes. */
async function copyImage(
  fd: number,
  start: number,
  { tree, path, signal }: FoundInput & { readonly signal: AbortSignal },
): Promise<number> {
  const size = tree.lstat(path)?.size ?? 0;
  const disk = tree.diskPath(path);
  const buffer = Buffer.allocUnsafe(MIB);
  if (disk === undefined) {
    using data = openData(tree, path, signal);
    for (let at = 0; at < size; ) {
      const n = await data.read(buffer, 0, BLOCK);
      if (n === 0) break;
      writeRuns(fd, buffer.subarray(0, n), start + at);
      at += n;
    }
    return size;
  }
  const from = openSync(fsPath(disk), 'r');
  try {
    const end = fstatSync(from).size;
    for (let at = seek(from, 0, 'data'); at !== undefined && at < end; ) {
      const n = readSync(from, buffer, 0, MIB, at);
      writeRuns(fd, buffer.subarray(0, n), start + at);
      signal.throwIfAborted();
      await new Promise(setImmediate);
      at = seek(from, at + n, 'data');
    }
  } finally {
    closeSync(from);
  }
  return size;
}

const ZEROS = Buffer.alloc(BLOCK);

/** Writes what is not zero, blocks that follow one another at once. */
function writeRuns(fd: number, bytes: Buffer, at: number): void {
  for (let from = 0, to = 0; from < bytes.length; from = to) {
    to = Math.min(bytes.length, from + BLOCK);
    if (isZero(bytes, from, to)) continue;
    for (let end = to; to < bytes.length; to = end) {
      end = Math.min(bytes.length, to + BLOCK);
      if (isZero(bytes, to, end)) break;
    }
    writeAllSync(fd, bytes.subarray(from, to), at + from);
  }
}

const isZero = (bytes: Buffer, from: number, to: number): boolean =>
  bytes.compare(ZEROS, 0, to - from, from, to) === 0;
