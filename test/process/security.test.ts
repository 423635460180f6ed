import { deepEqual, equal, match } from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { tarOf } from '../conformance/tar-rig.ts';
import { note } from '../rig/golden.ts';
import { varveHere } from '../rig/in-process.ts';
import { BUSYBOX, needsSteps, Rig } from '../rig/rig.ts';

const skip = needsSteps;

test('a secret that a step prints is in no byte of output, logs, history, store, image or metadata', {
  skip,
}, async () => {
  await using rig = new Rig();
  const value = 'correct-horse-battery-staple';
  const pieces =
    'for c in $(busybox sed "s/./& /g" /run/secrets/s); do printf %s $c; busybox usleep 1000; done; echo';
  rig.context('app', {
    Dockerfile: `${BUSYBOX}RUN --mount=type=secret,id=s --mount=type=secret,id=s,env=TOKEN \\
  busybox cat /run/secrets/s; echo; echo "got $TOKEN"; ${pieces}; echo "$TOKEN" >&2; busybox env; test -n "$FAIL" || exit 3
`,
  });
  const seen: string[] = [];
  const said: string[] = [];
  for (const mode of ['plain', 'rawjson', 'tty']) {
    const run = await varveHere(
      rig,
      rig.work,
      [
        'build',
        '--json',
        `--progress=${mode}`,
        '--secret',
        'id=s,env=S',
        '--metadata-file',
        'meta.json',
        '-t',
        'x',
        'app',
      ],
      { S: value },
    );
    equal(run.status, 1, run.stderr);
    said.push(run.stdout, run.stderr);
  }
  for (const args of [
    ['history', 'show'],
    ['history', 'logs'],
    ['history', 'show', '--json'],
  ]) {
    const run = await varveHere(rig, rig.work, args);
    said.push(run.stdout, run.stderr);
  }
  for (const text of said) if (text.includes(value)) seen.push(text);
  for (const [path, bytes] of [...rig.files(rig.store), ...rig.files(rig.work)])
    if (bytes.includes(value)) seen.push(path);
  deepEqual(seen, []);
  match(said[1] ?? '', /got \*{4}/);
  note(`secrets: searched ${said.length} outputs and every file of the store, none found`);
});

test('nobody else can look into the store, whatever the mask of the process', {
  skip,
}, async () => {
  const wrong: string[] = [];
  for (const made of ['by varve', 'before, open to all']) {
    await using rig = new Rig();
    chmodSync(rig.root, 0o755);
    if (made !== 'by varve') {
      mkdirSync(join(rig.store, 'snapshots'), { recursive: true, mode: 0o777 });
      chmodSync(join(rig.store, 'snapshots'), 0o777);
    }
    rig.context('app', {
      Dockerfile: `${BUSYBOX}RUN busybox cp /bin/busybox /su && busybox chmod 4755 /su\n`,
    });
    const run = spawnSync(
      'sh',
      ['-c', `umask 0; exec ${join(import.meta.dirname, '../../bin/varve')} build -t x app`],
      {
        cwd: rig.work,
        env: { PATH: process.env['PATH'], HOME: rig.root, VARVE_ROOT: rig.store },
      },
    );
    if (run.status !== 0) wrong.push(String(run.stderr));
    const other = { uid: 65534, gid: 65534, encoding: 'utf8' } as const;
    const found = spawnSync('find', [rig.store, '-mindepth', '2'], other).stdout;
    if (found !== '') wrong.push(`${made}: another user sees ${found}`);
    for (const name of readdirSync(rig.store)) {
      const mode = statSync(join(rig.store, name)).mode & 0o077;
      const root = statSync(rig.store).mode & 0o077;
      if (root !== 0 && mode !== 0 && name !== 'compile-cache' && name !== 'locks')
        wrong.push(`${made}: ${name} has ${mode.toString(8)}`);
    }
  }
  deepEqual(wrong, []);
});

test('a store that another user owns is refused, and no code in it is run', { skip }, async () => {
  await using rig = new Rig();
  mkdirSync(rig.store);
  lchownSync(rig.store, 65534, 65534);
  const run = await rig.varve(['image', 'ls']);
  equal(run.status, 3);
  equal(
    run.stderr,
    `error[ST023]: the store ${rig.store} belongs to another user (id 65534)\nhelp: whoever owns it could change what is built: set VARVE_ROOT to a directory of your own\n`,
  );
  deepEqual(readdirSync(rig.store), []);
});

const EVIL = '\x1b]0;owned\x07\x1b[2J\x1b[31mred\x9b5m\u202etxt\r';

test('escape sequences in output of steps, names, labels and errors never reach a terminal', {
  skip,
}, async () => {
  await using rig = new Rig();
  rig.context('app', { Dockerfile: '', [`n${EVIL.replaceAll('/', '')}`]: 'x' });
  const cases: readonly (readonly [name: string, dockerfile: string, args: readonly string[]])[] = [
    [
      'output',
      `${BUSYBOX}RUN printf '\\033]0;owned\\007\\033[2Jhello\\233' && false\n`,
      ['build', 'app'],
    ],
    [
      'output in the live view',
      `${BUSYBOX}RUN printf '\\033]0;owned\\007\\033[2Jhello\\n'; false\n`,
      ['build', '--progress=tty', 'app'],
    ],
    ['an unknown instruction', `FROM scratch\nRUN${EVIL} x\n`, ['build', 'app']],
    ['a stage name', `FROM nothing${EVIL} AS x\n`, ['build', 'app']],
    ['a missing file', `FROM scratch\nCOPY "no${EVIL}" /\n`, ['build', 'app']],
    ['a label', `${BUSYBOX}LABEL a="${EVIL}"\n`, ['build', '-t', 'evil', 'app']],
    ['a check', `FROM scratch\nLABEL a ${EVIL}\n`, ['build', '--check', 'app']],
    ['a plan', `FROM scratch\nCOPY [".", "/x${EVIL}"]\n`, ['build', '--plan', 'app']],
    ['a target', 'FROM scratch\n', ['build', '--target', EVIL, 'app']],
    ['an image name', 'FROM scratch\n', ['image', 'inspect', EVIL]],
  ];
  const wrong: string[] = [];
  const look = (name: string, text: string, live = false): void => {
    // The live view moves the cursor itself: only what a step said is looked for there.
    const bad = live ? /\x1b\]|\x1b\[2J|\x9b|\u202e/ : /[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]/;
    if (bad.test(text)) wrong.push(`${name}: ${JSON.stringify(text).slice(0, 1500)}`);
  };
  for (const [name, dockerfile, args] of cases) {
    writeFileSync(join(rig.work, 'app/Dockerfile'), dockerfile);
    const run = await varveHere(rig, rig.work, args);
    if (run.status === 70) wrong.push(`${name}: crashed: ${run.stderr}`);
    look(name, run.stderr, args.includes('--progress=tty'));
    look(name, run.stdout);
  }
  for (const args of [
    ['image', 'ls'],
    ['image', 'layers', 'evil'],
    ['history', 'ls'],
    ['history', 'show'],
    ['history', 'logs'],
  ]) {
    const run = await varveHere(rig, rig.work, args);
    look(args.join(' '), run.stdout + run.stderr);
  }
  deepEqual(wrong, []);
  note(`terminal: ${cases.length + 5} outputs with hostile text are plain`);
});

test('a build reads and writes nothing outside its context, its mounts and its destination', {
  skip,
}, async () => {
  await using rig = new Rig();
  const outside = join(rig.root, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'secret'), 'top-secret-data');
  rig.context('app', { Dockerfile: '', plain: 'x' });
  for (const [name, to] of [
    ['abs', outside],
    ['rel', '../../outside'],
    ['file', join(outside, 'secret')],
    ['.dockerignore', join(outside, 'secret')],
  ] as const)
    symlinkSync(to, join(rig.work, 'app', name));
  symlinkSync(join(outside, 'secret'), join(rig.work, 'app', 'Link.Dockerfile'));
  writeFileSync(
    join(rig.work, 'app', 'evil.tar'),
    tarOf([
      { name: 'd', type: 'symlink', link: '/out' },
      { name: 'd/escaped', data: 'x' },
    ]),
  );
  const cases: readonly (readonly [name: string, steps: string, args?: readonly string[]])[] = [
    ['COPY of a link to a directory', 'COPY abs /got'],
    ['COPY through a link', 'COPY abs/secret /got'],
    ['COPY through a relative link', 'COPY rel/secret /got'],
    ['COPY of a link to a file', 'COPY file /got'],
    ['COPY of ..', 'COPY ../../outside/secret /got'],
    ['COPY of an absolute path', `COPY ${outside}/secret /got`],
    [
      'a bind mount of ..',
      'RUN --mount=type=bind,source=../../outside,target=/m busybox cat /m/secret > /got',
    ],
    [
      'a bind mount of a link',
      'RUN --mount=type=bind,source=abs,target=/m busybox cat /m/secret > /got',
    ],
    [
      'a cache mount named ..',
      'RUN --mount=type=cache,id=../../../../outside,target=/m busybox cat /m/secret > /got; echo x > /m/escaped',
    ],
    [
      'a cache mount of a stage through a link',
      `RUN busybox ln -s ${outside} /l\nRUN --mount=type=cache,source=/l,target=/m busybox cat /m/secret > /got`,
    ],
    [
      'a mount target through a link',
      `RUN busybox mkdir /x && busybox ln -s ${outside} /x/l\nRUN --mount=type=tmpfs,target=/x/l echo y > /x/l/escaped`,
    ],
    [
      'a working directory through a link',
      `RUN busybox ln -s ${outside} /w\nWORKDIR /w/made\nRUN echo x > here`,
    ],
    ['COPY to a link', `RUN busybox ln -s ${outside} /w\nCOPY plain /w/escaped`],
    ['a Dockerfile that is a link out', '', ['-f', 'app/Link.Dockerfile']],
  ];
  const before = readdirSync(outside);
  const wrong: string[] = [];
  for (const [name, steps, args = []] of cases) {
    writeFileSync(join(rig.work, 'app/Dockerfile'), `${BUSYBOX}${steps}\n`);
    const run = await varveHere(rig, rig.work, [
      'build',
      '--progress=plain',
      '--no-cache',
      '-o',
      'type=tar,dest=out.tar',
      ...args,
      'app',
    ]);
    if (run.status === 70) wrong.push(`${name}: crashed: ${run.stderr}`);
    const tar = run.status === 0 ? readFileSync(join(rig.work, 'out.tar')) : Buffer.alloc(0);
    if (tar.includes('top-secret-data') || (run.stderr + run.stdout).includes('top-secret-data'))
      wrong.push(`${name}: read what is outside`);
    if (readdirSync(outside).length !== before.length) wrong.push(`${name}: wrote outside`);
  }
  equal(readFileSync(join(outside, 'secret'), 'utf8'), 'top-secret-data');
  mkdirSync(join(rig.work, 'dest'));
  symlinkSync(outside, join(rig.work, 'dest', 'etc'));
  writeFileSync(
    join(rig.work, 'app/Dockerfile'),
    `${BUSYBOX}RUN busybox mkdir /etc && echo x > /etc/escaped\n`,
  );
  await varveHere(rig, rig.work, ['build', '-o', 'type=local,dest=dest', 'app']);
  if (readdirSync(outside).length !== before.length)
    wrong.push('an export followed a link in its destination');
  deepEqual(wrong, []);
  note(`escapes: ${cases.length + 1} ways out of context, mounts and destination are closed`);
});
