import { deepEqual, equal, ok } from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  createReadStream,
  existsSync,
  globSync,
  openSync,
  readFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { leftovers } from '../rig/cancelled.ts';
import { BUSYBOX, needsSteps, normalised, Rig, type Run } from '../rig/rig.ts';

const VARVE = join(import.meta.dirname, '../../bin/varve');
/** A program that did not end within this many milliseconds hangs. */
const timeout = 120_000;
/** More than a pipe or a socket holds. */
const FLOOD = 'busybox yes flood | busybox head -c 1000000';

/** A world whose build floods its output, says that it is there, and does `last`. */
function flooding(last: string): Rig {
  const rig = new Rig();
  const step = `RUN --mount=type=cache,target=/c ${FLOOD}; busybox touch /c/ready; ${last}\n`;
  rig.context('app', { Dockerfile: `${BUSYBOX}${step}` });
  return rig;
}

/** Waits until the step of a build has written everything. */
async function flooded(rig: Rig, done: Promise<Run>): Promise<void> {
  const ended = done.then(() => true);
  while (globSync(join(rig.store, 'mounts/*/*/data/ready')).length === 0)
    if (await Promise.race([ended, delay(20, false)])) return;
}

/** A pipe that is full before anything else is written to it. */
class FullPipe implements Disposable {
  readonly path: string;
  #fd: number | undefined;
  #filler = 0;

  constructor(rig: Rig) {
    this.path = join(rig.root, 'pipe');
    execFileSync('mkfifo', [this.path]);
    this.#fd = openSync(this.path, constants.O_RDWR | constants.O_NONBLOCK);
    try {
      for (;;) this.#filler += writeSync(this.#fd, Buffer.alloc(4096, '.'));
    } catch (e) {
      equal(e instanceof Error && 'code' in e ? e.code : e, 'EAGAIN');
    }
  }

  /** Everything that was written to it until nobody writes any more. */
  async read(): Promise<string> {
    const reader = createReadStream(this.path, { encoding: 'utf8' });
    let text = '';
    for await (const chunk of reader) {
      this[Symbol.dispose]();
      text += String(chunk);
    }
    return text.slice(this.#filler);
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

/** The program with an output that goes elsewhere. */
const through = (redirect: string): readonly string[] => [
  ...['sh', '-c', `exec "$@" ${redirect}`, 'sh', VARVE],
];

describe('output that nobody reads', { skip: needsSteps }, () => {
  for (const [what, args, to, signal, status] of [
    ['plain progress', ['--progress=plain'], '2>../pipe', 'SIGINT', 130],
    ['the live view', ['--progress=tty'], '2>../pipe', 'SIGTERM', 143],
    ['raw JSON', ['--progress=rawjson'], '2>../pipe', 'SIGINT', 130],
    ['events', ['--progress=quiet', '--json'], '>../pipe', 'SIGINT', 130],
    ['both in one pipe', ['--progress=plain', '--json'], '>../pipe 2>&1', 'SIGHUP', 129],
  ] as const)
    test(`${what}: the build goes on, and ${signal} ends it in order`, { timeout }, async () => {
      await using rig = flooding('busybox sleep 600');
      using _full = new FullPipe(rig);
      const { child, done } = rig.start(['build', ...args, 'app'], { program: through(to) });
      await flooded(rig, done);
      child.kill(signal);
      const { stderr, ...end } = await done;
      const said = to.includes('2>') ? '' : `${signal}: stopping; once more to exit at once\n`;
      deepEqual(
        { ...end, stderr, left: leftovers(rig, new Set()) },
        { status, stdout: '', stderr: said, left: [] },
      );
    });

  test('a socket: the build goes on, and SIGINT ends it in order', { timeout }, async () => {
    await using rig = flooding('busybox sleep 600');
    const { child, done } = rig.start(['build', '--progress=plain', 'app']);
    child.stderr?.pause();
    await flooded(rig, done);
    child.kill('SIGINT');
    await new Promise((resolve) => child.once('exit', () => resolve(undefined)));
    child.stderr?.resume();
    const { status } = await done;
    deepEqual({ status, left: leftovers(rig, new Set()) }, { status: 130, left: [] });
  });

  test('--timeout ends a build', { timeout }, async () => {
    await using rig = flooding('busybox sleep 600');
    using _full = new FullPipe(rig);
    const args = ['build', '--progress=plain', '--timeout=3', 'app'];
    const { done } = rig.start(args, { program: through('2>../pipe') });
    deepEqual(
      { ...(await done), left: leftovers(rig, new Set()) },
      { status: 1, stdout: '', stderr: '', left: [] },
    );
  });

  test('a reader that comes late gets every line, and the error at the end', {
    timeout,
  }, async () => {
    await using rig = flooding('exit 3');
    using full = new FullPipe(rig);
    const args = ['build', '--progress=plain', 'app'];
    const { done } = rig.start(args, { program: through('2>../pipe') });
    await flooded(rig, done);
    const [text, end] = await Promise.all([full.read(), done]);
    equal(end.status, 1);
    const lines = normalised(text).split('\n');
    const floods = lines.filter((line) => / T flood$/.test(line)).length;
    // The last line has no end.
    equal(floods, Math.floor(1_000_000 / 'flood\n'.length));
    const error = lines.findIndex((line) => line.startsWith('error[SB010]'));
    ok(
      error > 0 && lines.slice(error).some((line) => line.startsWith('full log: ')),
      text.slice(-2000),
    );
  });

  test('a reader that goes away stops a build in order', { timeout }, async () => {
    await using rig = flooding('busybox sleep 600');
    using full = new FullPipe(rig);
    const args = ['build', '--progress=plain', 'app'];
    const { done } = rig.start(args, { program: through('2>../pipe') });
    await flooded(rig, done);
    full[Symbol.dispose]();
    deepEqual(
      { ...(await done), left: leftovers(rig, new Set()) },
      { status: 141, stdout: '', stderr: '', left: [] },
    );
  });
});

const needsTerminal =
  needsSteps !== false
    ? needsSteps
    : existsSync('/usr/bin/script')
      ? false
      : 'needs script (util-linux)';

describe('a terminal that was stopped', { skip: needsTerminal }, () => {
  /** A build on a terminal whose output stands still from the start, as by Ctrl-S. */
  function onStopped(
    rig: Rig,
  ): { readonly type: (key: string) => void; readonly pid: () => number } & ReturnType<
    Rig['start']
  > {
    const line = `stty ixon cols 100 rows 40; head -n 1 >/dev/null; echo $$ >${rig.root}/pid; exec ${VARVE} build app`;
    const program = ['script', '--quiet', '--return', '--command', `sh -c '${line}'`, '/dev/null'];
    const run = rig.start([], { program });
    const type = (key: string): void => void run.child.stdin?.write(key);
    type('\x13\n');
    return { ...run, type, pid: () => Number(readFileSync(join(rig.root, 'pid'), 'utf8')) };
  }

  test('SIGTERM ends a build in order', { timeout }, async () => {
    await using rig = flooding('busybox sleep 600');
    const { done, pid } = onStopped(rig);
    await flooded(rig, done);
    process.kill(pid(), 'SIGTERM');
    const { status } = await done;
    deepEqual({ status, left: leftovers(rig, new Set()) }, { status: 143, left: [] });
  });

  test('the view goes on with its last frame when the terminal does', { timeout }, async () => {
    await using rig = flooding('exit 3');
    const { done, type } = onStopped(rig);
    await flooded(rig, done);
    type('\x11');
    const { status, stdout } = await done;
    equal(status, 1);
    const wanted = [
      /\[\+\] Building .* FINISHED/,
      /ERROR \[stage-0 3\/3\]/,
      /error\[SB010\]/,
      /full log: /,
    ];
    deepEqual(
      wanted.filter((line) => !line.test(stdout)),
      [],
      stdout.slice(-3000),
    );
  });
});
