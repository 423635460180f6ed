import { deepEqual } from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { tarOf } from '../conformance/tar-rig.ts';
import { note } from '../rig/golden.ts';
import { varveHere } from '../rig/in-process.ts';
import { BUSYBOX, needsSteps, Rig, worldOf } from '../rig/rig.ts';

const VARVE = join(import.meta.dirname, '../../bin/varve');

/** Everything that makes files or directories in an image, and what a step sees of its mask and its mounts. */
const DOCKERFILE = `${BUSYBOX}WORKDIR /made/by/workdir
COPY dir /dir
COPY dir/f /new/place/f
COPY --chmod=604 dir/f /modes/
ADD a.tar /archive/
COPY <<heredoc /here/doc
text
heredoc
RUN busybox mkdir /d && echo x > /f && umask > /mask
RUN --mount=type=cache,target=/c/a/c --mount=type=tmpfs,target=/t/m --mount=type=secret,id=s,target=/s/e/c busybox stat -c '%a %n' /c/a/c /t/m /s/e/c /s/e /c /c/a > /modes/seen
`;

/** Builds the same with a mask; the entries of its tree with modes and owners, and what the step saw. */
function build(rig: Rig, mask: string): string {
  const store = join(rig.root, `store-${mask}`);
  const args = ['--secret', 'id=s,env=S', '-o', `type=tar,dest=${mask}.tar`, 'app'];
  const run = spawnSync(
    'sh',
    ['-c', `umask ${mask}; exec "$@"`, 'sh', VARVE, 'build', '--progress=plain', ...args],
    {
      cwd: rig.work,
      encoding: 'utf8',
      env: { ...worldOf(rig), VARVE_ROOT: store, S: 'a-secret' },
    },
  );
  if (run.status !== 0) return run.stderr;
  const tar = (...options: readonly string[]): string =>
    spawnSync('tar', [...options], { cwd: rig.work, encoding: 'utf8' }).stdout;
  const listed = tar('-tvf', `${mask}.tar`, '--numeric-owner').replaceAll(/ \d{4}-\S+ \S+ /g, ' ');
  return `${listed}${tar('-xOf', `${mask}.tar`, 'modes/seen', 'mask')}`;
}

/** Files and directories below the store that others may read or write, and that do not lie in a closed directory. */
function openToOthers(dir: string): string[] {
  const found: string[] = [];
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    const { mode } = lstatSync(path);
    if (entry.isSymbolicLink() || (mode & 0o077) === 0) continue;
    found.push(`${entry.name} ${(mode & 0o7777).toString(8)}`);
  }
  return found;
}

test('the mask of the process is not seen in an image, and nothing in the store is open to others', {
  skip: needsSteps,
}, async () => {
  await using rig = new Rig();
  rig.context('app', { Dockerfile: DOCKERFILE, 'dir/f': 'f' });
  writeFileSync(
    join(rig.work, 'app/a.tar'),
    tarOf([{ name: 'deep/er/f', data: 'x', mode: 0o640 }]),
  );
  const masks = ['022', '077', '000', '027'];
  const [first = '', ...others] = masks.map((mask) => build(rig, mask));
  const open = masks.flatMap((mask) => openToOthers(join(rig.root, `store-${mask}`)));
  const roots = masks.map((mask) =>
    (lstatSync(join(rig.root, `store-${mask}`)).mode & 0o7777).toString(8),
  );
  deepEqual(others, [first, first, first]);
  deepEqual({ open, roots }, { open: [], roots: ['700', '700', '700', '700'] });
  deepEqual(first.split('\n').slice(-8), [
    '0022',
    '755 /c/a/c',
    '755 /t/m',
    '400 /s/e/c',
    '755 /s/e',
    '755 /c',
    '755 /c/a',
    '',
  ]);
  note(`masks: ${masks.length} masks, the same ${first.split('\n').length} lines of modes`);
});

test('a context archive has the same modes under every mask', { skip: needsSteps }, async () => {
  await using rig = new Rig();
  writeFileSync(
    join(rig.work, 'context.tar'),
    tarOf([
      { name: 'Dockerfile', data: 'FROM scratch\nCOPY . /\n' },
      { name: 'implied/by/f', data: 'x' },
    ]),
  );
  const said = ['022', '077', '000'].map((mask) => {
    const command = `umask ${mask}; "$0" build -q -o type=tar,dest=- - < context.tar | tar -tv --numeric-owner`;
    const env = { ...worldOf(rig), VARVE_ROOT: join(rig.root, `store-${mask}`) };
    const run = spawnSync('sh', ['-c', command, VARVE], { cwd: rig.work, encoding: 'utf8', env });
    return run.stdout.split('\n').map((line) => line.split(/\s+/).slice(0, 2).join(' '));
  });
  deepEqual(said, [said[0], said[0], said[0]]);
  deepEqual(said[0]?.includes('drwxr-xr-x 0/0'), true);
});

/** A store in a state in which others could change it, what comes of it, and what its modes are afterwards. */
interface Place {
  readonly make: (rig: Rig) => void;
  readonly said: string;
  readonly after?: (rig: Rig) => Readonly<Record<string, string>>;
}

const modeOf = (path: string): string => (lstatSync(path).mode & 0o7777).toString(8);

const PLACES: Readonly<Record<string, Place>> = {
  'a root that anybody may change': {
    make: (rig) => {
      mkdirSync(rig.store);
      chmodSync(rig.store, 0o777);
    },
    said: '0',
    after: (rig) => ({ root: modeOf(rig.store), content: modeOf(join(rig.store, 'content')) }),
  },
  'a root that a group may change': {
    make: (rig) => {
      mkdirSync(rig.store);
      chmodSync(rig.store, 0o2775);
    },
    said: '0',
    after: (rig) => ({ root: modeOf(rig.store) }),
  },
  'a root that others may see': {
    make: (rig) => {
      mkdirSync(rig.store);
      chmodSync(rig.store, 0o755);
    },
    said: '0',
    after: (rig) => ({ root: modeOf(rig.store) }),
  },
  'a directory of another user in a root that anybody could change': {
    make: (rig) => {
      mkdirSync(join(rig.store, 'snapshots'), { recursive: true });
      lchownSync(join(rig.store, 'snapshots'), 65534, 65534);
      chmodSync(rig.store, 0o777);
    },
    said: '3 error[ST023]: the store STORE/snapshots belongs to another user (id 65534)',
  },
  'a database of another user': {
    make: (rig) => {
      mkdirSync(rig.store);
      writeFileSync(join(rig.store, 'state.db'), '');
      lchownSync(join(rig.store, 'state.db'), 65534, 65534);
    },
    said: '3 error[ST023]: the store STORE/state.db belongs to another user (id 65534)',
  },
  'a link of another user in place of a directory': {
    make: (rig) => {
      mkdirSync(rig.store);
      mkdirSync(join(rig.root, 'elsewhere'));
      symlinkSync(join(rig.root, 'elsewhere'), join(rig.store, 'content'));
      lchownSync(join(rig.store, 'content'), 65534, 65534);
    },
    said: '3 error[ST023]: the store STORE/content belongs to another user (id 65534)',
  },
  'a link to a directory of another user': {
    make: (rig) => {
      mkdirSync(rig.store);
      mkdirSync(join(rig.root, 'elsewhere'));
      lchownSync(join(rig.root, 'elsewhere'), 65534, 65534);
      symlinkSync(join(rig.root, 'elsewhere'), join(rig.store, 'content'));
    },
    said: '3 error[ST023]: the store STORE/content belongs to another user (id 65534)',
  },
  'a root that is a link to a directory of one’s own': {
    make: (rig) => {
      mkdirSync(join(rig.root, 'elsewhere'), { mode: 0o755 });
      symlinkSync(join(rig.root, 'elsewhere'), rig.store);
    },
    said: '0',
    after: (rig) => ({ content: modeOf(join(rig.root, 'elsewhere/content')) }),
  },
  'a root that is a link to a directory of another user': {
    make: (rig) => {
      mkdirSync(join(rig.root, 'elsewhere'));
      lchownSync(join(rig.root, 'elsewhere'), 65534, 65534);
      symlinkSync(join(rig.root, 'elsewhere'), rig.store);
    },
    said: '3 error[ST023]: the store ELSEWHERE belongs to another user (id 65534)',
  },
  'a parent that anybody may change': {
    make: (rig) => chmodSync(rig.root, 0o777),
    said: '0',
    after: (rig) => ({ root: modeOf(rig.store) }),
  },
};

describe('stores that others could change', { skip: needsSteps }, () => {
  test('are closed, or refused when something in them belongs to another user', async () => {
    const wanted = Object.fromEntries(Object.entries(PLACES).map(([name, p]) => [name, p.said]));
    const said: Record<string, string> = {};
    const after: Record<string, Readonly<Record<string, string>>> = {};
    for (const [name, place] of Object.entries(PLACES)) {
      await using rig = new Rig();
      place.make(rig);
      const run = await varveHere(rig, rig.work, ['image', 'ls']);
      const [line = ''] = run.stderr.split('\n');
      said[name] =
        `${run.status} ${line.replaceAll(rig.store, 'STORE').replaceAll(join(rig.root, 'elsewhere'), 'ELSEWHERE')}`.trim();
      if (place.after !== undefined) after[name] = place.after(rig);
    }
    deepEqual(said, wanted);
    deepEqual(after, {
      'a root that anybody may change': { root: '755', content: '700' },
      'a root that a group may change': { root: '2755' },
      'a root that others may see': { root: '755' },
      'a root that is a link to a directory of one’s own': { content: '700' },
      'a parent that anybody may change': { root: '700' },
    });
    note(`stores: ${Object.keys(PLACES).length} that others could change`);
  });

  test('a store that is a link builds, and the next command finds what a killed one left', async () => {
    await using rig = new Rig();
    mkdirSync(join(rig.root, 'elsewhere'));
    symlinkSync(join(rig.root, 'elsewhere'), rig.store);
    rig.context('app', { Dockerfile: `${BUSYBOX}RUN echo up; exec busybox sleep 600\n` });
    const { child, done } = rig.start(['build', '--progress=plain', 'app']);
    await new Promise((resolve) => {
      child.stderr?.on('data', (text: string) => /\d up/.test(text) && resolve(undefined));
      child.once('close', resolve);
    });
    child.kill('SIGKILL');
    await done;
    const left = (): readonly string[] =>
      ['run/owners', 'snapshots/work'].flatMap((dir) => readdirSync(join(rig.store, dir)));
    const before = left().length;
    const next = await rig.varve(['image', 'ls']);
    deepEqual([before > 0, next.status, left()], [true, 0, []]);
  });
});
