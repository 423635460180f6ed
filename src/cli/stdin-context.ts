import { basename, dirname, join } from 'node:path';
import { detectCompression } from '../archive/index.ts';
import { err, failure, ok, type Result, TempDir } from '../base/index.ts';
import type { BuildRequest } from '../build/index.ts';
import { type LocalSourceDeps, openLocalSource, unpackArchive } from '../context/index.ts';
import { type Io, withMembers } from './io.ts';
import { storePaths } from './store.ts';

/** More text than this is no Dockerfile. */
const MAX_TEXT = 16 << 20;
/** Offset and text of the magic of POSIX tar headers. */
const TAR_MAGIC = { at: 257, text: 'ustar' };
const TAR_BLOCK = 512;

/** The whole of standard input as text. */
export async function readText(io: Io): Promise<Result<string>> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of io.stdin) {
    io.signal.throwIfAborted();
    chunks.push(chunk);
    size += chunk.length;
    if (size > MAX_TEXT)
      return err(
        failure('CX008', 2, `the Dockerfile on standard input is larger than ${MAX_TEXT} bytes`),
      );
  }
  return ok(Buffer.concat(chunks).toString('utf8'));
}

/** `varve build -`: standard input is an archive with the context, or a Dockerfile that needs none. */
export async function readStdinContext(
  io: Io,
  options: {
    readonly file: string | undefined;
    readonly root: string;
    readonly deps: LocalSourceDeps;
    readonly resources: AsyncDisposableStack;
  },
): Promise<Result<Pick<BuildRequest, 'dockerfile' | 'context' | 'contextKind'>>> {
  const dir = options.resources.use(await TempDir.create(storePaths(options.root).tmp, 'context-'));
  const [head, whole] = await peek(io.stdin);
  const archive =
    detectCompression(head) !== 'none' ||
    Buffer.from(head).toString('latin1', TAR_MAGIC.at, TAR_MAGIC.at + 5) === TAR_MAGIC.text;
  if (archive) {
    const unpacked = await unpackArchive(whole, dir.path, io.signal);
    if (!unpacked.ok) return unpacked;
  }
  const context = openLocalSource(dir.path, options.deps);
  if (!context.ok) return context;
  if (!archive && options.file !== undefined)
    return err(
      failure(
        'CL007',
        2,
        'ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles',
        {
          help: `name a directory as the context of ${options.file}, or leave -f out to build the Dockerfile on standard input`,
        },
      ),
    );
  if (!archive) {
    const text = await readText(withMembers(io, { stdin: whole }));
    if (!text.ok) return text;
    const dockerfile = { kind: 'text', text: text.value, shown: 'Dockerfile' } as const;
    return ok({ dockerfile, context: context.value, contextKind: 'none' });
  }
  const file = options.file ?? 'Dockerfile';
  const parent = openLocalSource(dirname(join(dir.path, join('/', file))), options.deps);
  if (!parent.ok)
    return err(failure('DF001', 2, `failed to read dockerfile: the archive has no ${file}`));
  return ok({
    dockerfile: { kind: 'file', dir: parent.value, name: basename(file), shown: file },
    context: context.value,
    contextKind: 'archive',
  });
}

/** The first block of a stream, and the stream from its start. */
async function peek(
  stream: AsyncIterable<Uint8Array>,
): Promise<readonly [head: Uint8Array, whole: AsyncIterable<Uint8Array>]> {
  const iterator = stream[Symbol.asyncIterator]();
  const chunks: Uint8Array[] = [];
  let size = 0;
  while (size < TAR_BLOCK) {
    const next = await iterator.next();
    if (next.done === true) break;
    chunks.push(next.value);
    size += next.value.length;
  }
  const head = Buffer.concat(chunks);
  async function* whole(): AsyncGenerator<Uint8Array> {
    if (head.length > 0) yield head;
    for (;;) {
      const next = await iterator.next();
      if (next.done === true) return;
      yield next.value;
    }
  }
  return [head, whole()];
}
