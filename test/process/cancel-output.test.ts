import { deepEqual, equal } from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, type Hash } from 'node:crypto';
import { createReadStream, type ReadStream } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { leftovers } from '../rig/cancelled.ts';
import { Rig } from '../rig/rig.ts';

const VARVE = join(import.meta.dirname, '../../bin/varve');
/** More than any pipe or socket holds. */
const SIZE = 32 * 2 ** 20;
const STOPPING = 'SIGINT: stopping; once more to exit at once\n';
const build = (output: string, ...more: string[]): string[] => [
  ...['build', '--progress=quiet', '-o', output, ...more],
  'app',
];
const TAR = build('type=tar,dest=-');
/** A program that did not end within this many milliseconds hangs. */
const timeout = 120_000;

/** A world with a context whose image is large. */
function large(): Rig {
  const rig = new Rig();
  rig.write('app/Dockerfile', 'FROM scratch\nCOPY huge /\n');
  rig.write('app/huge', Buffer.alloc(SIZE, 'seven b'));
  return rig;
}

/** A program that has begun to write to a pipe, of which no more than the beginning was read. */
async function piped(
  rig: Rig,
  args: readonly string[],
  { redirect = '>../out', atOnce = 1 } = {},
): Promise<{ readonly reader: ReadStream } & ReturnType<Rig['start']>> {
  const path = join(rig.root, 'out');
  execFileSync('mkfifo', [path]);
  const run = rig.start(args, { program: ['sh', '-c', `exec "$@" ${redirect}`, 'sh', VARVE] });
  const reader = createReadStream(path, { highWaterMark: atOnce });
  await new Promise((resolve) => reader.once('readable', () => resolve(undefined)));
  return { reader, ...run };
}

test('SIGINT ends a build and a saved image whose standard output nobody reads, and nothing is left', {
  timeout,
}, async () => {
  const ends: Record<string, unknown> = {};
  const expected = { status: 130, stdout: '', stderr: STOPPING, left: [] };
  for (const [name, args] of Object.entries({
    'a tar': TAR,
    'an archive': build('type=oci,dest=-'),
    'a tar with a time limit': build('type=tar,dest=-', '--timeout=600'),
    'a saved image': ['image', 'save', 'large', '-o', '-'],
  })) {
    await using rig = large();
    if (name === 'a saved image') await rig.varve(['build', '-q', '-t', 'large', 'app']);
    const { child, done, reader } = await piped(rig, args);
    child.kill('SIGINT');
    ends[name] = { ...(await done), left: leftovers(rig, new Set()) };
    reader.destroy();
  }
  deepEqual(ends, Object.fromEntries(Object.keys(ends).map((name) => [name, expected])));
  equal(Object.keys(ends).length, 4);
});

test('SIGINT ends a build whose standard output is a socket that nobody reads', {
  timeout,
}, async () => {
  await using rig = large();
  const { child, done } = rig.start(TAR);
  await new Promise((resolve) => child.stdout?.once('data', () => resolve(undefined)));
  child.stdout?.pause();
  child.kill('SIGINT');
  await new Promise((resolve) => child.once('exit', () => resolve(undefined)));
  child.stdout?.resume();
  const { status, stderr } = await done;
  deepEqual(
    { status, stderr, left: leftovers(rig, new Set()) },
    { status: 130, stderr: STOPPING, left: [] },
  );
});

test('SIGINT ends a build whose standard error goes into the same pipe that nobody reads', {
  timeout,
}, async () => {
  await using rig = large();
  const { child, done, reader } = await piped(rig, TAR, { redirect: '>../out 2>&1' });
  child.kill('SIGINT');
  deepEqual(
    { ...(await done), left: leftovers(rig, new Set()) },
    { status: 130, stdout: '', stderr: '', left: [] },
  );
  reader.destroy();
});

test('--timeout ends a build whose standard output nobody reads', { timeout }, async () => {
  await using rig = large();
  const { done, reader } = await piped(rig, build('type=tar,dest=-', '--timeout=3'));
  const stderr =
    'error[SB013]: the build was stopped: it took longer than 3 s\nhelp: give it more time with --timeout; what was finished is cached\n';
  deepEqual(
    { ...(await done), left: leftovers(rig, new Set()) },
    { status: 1, stdout: '', stderr, left: [] },
  );
  reader.destroy();
});

test('a reader of standard output that goes away stops the build in order', {
  timeout,
}, async () => {
  await using rig = large();
  const { done, reader } = await piped(rig, TAR);
  reader.destroy();
  deepEqual(
    { ...(await done), left: leftovers(rig, new Set()) },
    { status: 141, stdout: '', stderr: '', left: [] },
  );
});

test('a pipe gets the bytes of a file, in their order and to the last', { timeout }, async () => {
  await using rig = large();
  const digest = async (stream: AsyncIterable<Uint8Array>): Promise<string> => {
    const hash: Hash = createHash('sha256');
    for await (const chunk of stream) hash.update(chunk);
    return hash.digest('hex');
  };
  const { done, reader } = await piped(rig, TAR, { atOnce: 65_536 });
  const through = await digest(reader);
  deepEqual(await done, { status: 0, stdout: '', stderr: '' });
  const [file, redirected] = ['as-file.tar', 'redirected.tar'];
  deepEqual((await rig.varve(build(`type=tar,dest=${file}`))).status, 0);
  const program = ['sh', '-c', `exec "$@" >${redirected}`, 'sh', VARVE];
  deepEqual((await rig.varve(TAR, { program })).status, 0);
  const files = [file, redirected].map((name) => createReadStream(join(rig.work, name)));
  deepEqual(await Promise.all(files.map(digest)), [through, through]);
});
