import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { FileAction, OpBody } from '../../../src/llb/index.ts';
import { createFileDriver } from '../../../src/ops/index.ts';
import type { LayerChain, Snapshotter } from '../../../src/ports/index.ts';
import { chainOf, copyAction, listing, needsRoot, World } from './world.ts';

function driverOf(world: World) {
  const snapshotter = world.snapshotter as Snapshotter;
  return createFileDriver({ snapshotter, trees: world.trees, clock: { now: () => 7 } });
}

async function run(world: World, body: OpBody, inputs: readonly LayerChain[]) {
  const result = await driverOf(world).run(world.context(body), inputs);
  if (!result.ok) return `${result.error.code} ${result.error.exit} ${result.error.message}`;
  return result.value;
}

/** The new layer's entries after copying, and that the kernel sees the same tree as one made by plain file operations. */
async function copied(base: string, source: string, ...actions: FileAction['action'][]) {
  await using world = new World();
  const inputs = [world.layer(base), world.layer(source)];
  const result = await run(world, chainOf(...actions), inputs);
  return typeof result === 'string' ? result : world.entries(result[0]);
}

const SOURCE = `
a.txt [644] = alpha
b.txt [600] = bravo
dir/ [755]
dir/one [644] = 1
dir/sub/ [700 5:6]
dir/sub/two [4755 5:6] = 2
link -> dir/one
dirlink -> dir`;

test('a file is copied to a name, its missing parents are made', needsRoot, async () => {
  assert.deepEqual(await copied('etc/', SOURCE, copyAction('/a.txt', '/x/y/file')), [
    'x dir 755 0:0',
    'x/y dir 755 0:0',
    'x/y/file file 644 0:0 old "alpha"',
  ]);
});

test(
  'a file goes into an existing directory, which is copied up with its metadata and time',
  needsRoot,
  async () => {
    assert.deepEqual(
      await copied('opt/ [750 3:4]\nopt/z = z', SOURCE, copyAction('/a.txt', '/opt')),
      ['opt dir 750 3:4 old', 'opt/a.txt file 644 0:0 old "alpha"'],
    );
  },
);

test(
  'a directory gives its contents, with owners, modes and times of what is below it',
  needsRoot,
  async () => {
    assert.deepEqual(await copied('etc/', SOURCE, copyAction('/dir', '/d/')), [
      'd dir 755 0:0 old',
      'd/one file 644 0:0 old "1"',
      'd/sub dir 700 5:6 old',
      'd/sub/two file 4755 5:6 old "2"',
    ]);
  },
);

test('a source is followed through links, links below it are kept', needsRoot, async () => {
  assert.deepEqual(
    await copied('etc/', SOURCE, copyAction('/dirlink/one', '/o'), copyAction('/', '/all/')),
    [
      'all dir 755 0:0',
      'all/a.txt file 644 0:0 old "alpha"',
      'all/b.txt file 600 0:0 old "bravo"',
      'all/dir dir 755 0:0 old',
      'all/dir/one file 644 0:0 old "1"',
      'all/dir/sub dir 700 5:6 old',
      'all/dir/sub/two file 4755 5:6 old "2"',
      'all/dirlink -> dir 0:0 old',
      'all/link -> dir/one 0:0 old',
      'o file 644 0:0 old "1"',
    ].map((line) => (line.startsWith('all dir') ? `${line} old` : line)),
  );
});

test('wildcards match whole components and may match nothing', needsRoot, async () => {
  assert.deepEqual(
    await copied('etc/', SOURCE, copyAction('/*.txt', '/w/'), copyAction('/no*', '/none/')),
    ['w dir 755 0:0', 'w/a.txt file 644 0:0 old "alpha"', 'w/b.txt file 600 0:0 old "bravo"'],
  );
  assert.equal(
    await copied('etc/', SOURCE, copyAction('/no*', '/n', { allowEmptyWildcard: false })),
    'SB101 1 /no* not found',
  );
});

test(
  'links in the destination are followed inside the tree, links at the target of an entry are replaced',
  needsRoot,
  async () => {
    const base =
      'real/ [711]\nvar -> /real\nreal/a.txt -> /etc/passwd\netc/passwd = p\nto -> ../../etc/passwd';
    assert.deepEqual(
      await copied(base, SOURCE, copyAction('/a.txt', '/var/'), copyAction('/b.txt', '/to')),
      [
        'etc dir 755 0:0 old',
        'etc/passwd file 600 0:0 old "bravo"',
        'real dir 711 0:0 old',
        'real/a.txt file 644 0:0 old "alpha"',
      ],
    );
  },
);

test('--chown and --chmod go to everything copied and to new parents', needsRoot, async () => {
  const owner = { user: { kind: 'byId', byId: 33 }, group: { kind: 'byId', byId: 50 } } as const;
  assert.deepEqual(
    await copied('etc/', SOURCE, copyAction('/dir', '/p/q', { owner, mode: 0o2751 })),
    [
      'p dir 751 33:50',
      'p/q dir 751 33:50 old',
      'p/q/one file 2751 33:50 old "1"',
      'p/q/sub dir 2751 33:50 old',
      'p/q/sub/two file 2751 33:50 old "2"',
    ],
  );
});

test(
  'owners are looked up by name in the destination; unknown names are root',
  needsRoot,
  async () => {
    const base = 'etc/passwd = app:x:1000:1001::/home:/bin/sh\netc/group = staff:x:50:';
    const user = (name: string) => ({ kind: 'byName', name, input: 0 }) as const;
    assert.deepEqual(
      await copied(
        base,
        SOURCE,
        copyAction('/a.txt', '/1', { owner: { user: user('app') } }),
        copyAction('/a.txt', '/2', { owner: { user: user('app'), group: user('staff') } }),
        copyAction('/a.txt', '/3', { owner: { user: user('ghost') } }),
      ),
      [
        '1 file 644 1000:1001 old "alpha"',
        '2 file 644 1000:50 old "alpha"',
        '3 file 644 0:0 old "alpha"',
      ],
    );
  },
);

test(
  'include patterns make only the directories above what matches, excludes prune',
  needsRoot,
  async () => {
    assert.deepEqual(
      await copied('etc/', SOURCE, copyAction('/', '/p/', { include_patterns: ['dir/sub/two'] })),
      [
        'p dir 755 0:0 old',
        'p/dir dir 755 0:0 old',
        'p/dir/sub dir 700 5:6 old',
        'p/dir/sub/two file 4755 5:6 old "2"',
      ],
    );
    assert.deepEqual(
      await copied(
        'etc/',
        SOURCE,
        copyAction('/', '/e/', { exclude_patterns: ['*.txt', 'dir/sub', '*link'] }),
      ),
      ['e dir 755 0:0 old', 'e/dir dir 755 0:0 old', 'e/dir/one file 644 0:0 old "1"'],
    );
  },
);

test('hard links inside one copy stay hard links', needsRoot, async () => {
  assert.deepEqual(await copied('etc/', 'd/a = x\nd/b => d/a', copyAction('/d', '/h')), [
    'h dir 755 0:0 old',
    'h/a file 644 0:0 old links=2 "x"',
    'h/b file 644 0:0 old links=2 "x"',
  ]);
});

test(
  'files over directories and directories over files are refused in words of the builder',
  needsRoot,
  async () => {
    assert.equal(
      await copied('t/a.txt/', SOURCE, copyAction('/a.txt', '/t/')),
      'SB101 1 cannot replace to directory /t/a.txt with file',
    );
    assert.equal(
      await copied('t/sub = f', SOURCE, copyAction('/dir', '/t')),
      'SB101 1 cannot copy to non-directory: /t/sub',
    );
    assert.equal(
      await copied('etc/', SOURCE, copyAction('/nope/x', '/t')),
      'SB101 1 lstat /nope/x: no such file or directory',
    );
    assert.equal(
      await copied('f = file', SOURCE, copyAction('/a.txt', '/f/g')),
      'SB101 1 mkdir /f: not a directory',
    );
  },
);

test(
  'with replacement a directory takes the place of a file and hides what was there',
  needsRoot,
  async () => {
    const always = { alwaysReplaceExistingDestPaths: true };
    assert.deepEqual(
      await copied('t/sub = f\nt/keep = k', SOURCE, copyAction('/dir', '/t', always)),
      [
        't dir 755 0:0 old',
        't/one file 644 0:0 old "1"',
        't/sub dir 700 5:6 old opaque',
        't/sub/two file 4755 5:6 old "2"',
      ],
    );
  },
);

test('removals leave whiteouts only for what the parents have', needsRoot, async () => {
  const rm = (path: string, more = {}): FileAction['action'] => ({
    kind: 'rm',
    rm: { path, allowNotFound: false, allowWildcard: false, ...more },
  });
  const base = 'd/a = 1\nd/b = 2\nd/c = 3\ne/f = 4';
  assert.deepEqual(
    await copied(base, SOURCE, rm('/d/a'), rm('/d/[bc]', { allowWildcard: true }), rm('/e')),
    ['d dir 755 0:0 old', 'd/a whiteout', 'd/b whiteout', 'd/c whiteout', 'e whiteout'],
  );
  assert.deepEqual(
    await copied(
      base,
      SOURCE,
      copyAction('/a.txt', '/new'),
      rm('/new'),
      rm('/e'),
      copyAction('/dir', '/e/'),
    ),
    [
      'e dir 755 0:0 old opaque',
      'e/one file 644 0:0 old "1"',
      'e/sub dir 700 5:6 old',
      'e/sub/two file 4755 5:6 old "2"',
    ],
  );
  assert.equal(
    await copied(base, SOURCE, rm('/zip')),
    'SB101 1 stat /zip: no such file or directory',
  );
  assert.deepEqual(await copied(base, SOURCE, rm('/zip', { allowNotFound: true })), []);
  assert.equal(await copied(base, SOURCE, rm('/')), 'SB101 1 rmPath: invalid empty path');
});

test('files, directories and links are made with owner and time', needsRoot, async () => {
  const timestamp = 1_600_000_000_000_000_000n;
  const owner = { user: { kind: 'byId', byId: 9 } } as const;
  const data = Buffer.from('text');
  assert.deepEqual(
    await copied(
      'etc/conf [640 1:2] = old',
      SOURCE,
      { kind: 'mkdir', mkdir: { path: '/m/n', mode: 0o700, makeParents: true, owner, timestamp } },
      { kind: 'mkfile', mkfile: { path: '/m/file', mode: 0o600, data, timestamp } },
      { kind: 'mkfile', mkfile: { path: '/etc/conf', mode: 0o777, data, timestamp } },
      { kind: 'symlink', symlink: { oldpath: '../x', newpath: '/m/l', owner, timestamp } },
    ),
    [
      'etc dir 755 0:0 old',
      'etc/conf file 640 1:2 old "text"',
      'm dir 700 9:9 old',
      'm/file file 600 0:0 old "text"',
      'm/l -> ../x 9:9 old',
      'm/n dir 700 9:9 old',
    ],
  );
  assert.equal(
    await copied('d/', SOURCE, {
      kind: 'mkdir',
      mkdir: { path: '/a/b', mode: 0o755, makeParents: false, timestamp: -1n },
    }),
    'SB101 1 mkdir /a/b: no such file or directory',
  );
  assert.equal(
    await copied('d/', SOURCE, {
      kind: 'mkfile',
      mkfile: { path: '/d', mode: 0o644, data, timestamp: -1n },
    }),
    'SB101 1 open /d: is a directory',
  );
});

test('the kernel sees the tree that plain file operations give', needsRoot, async () => {
  await using world = new World();
  const base = world.layer('d/x/y = 1\nd/z = 2\nf = 3\nkeep/k = 4');
  const source = world.layer('d = file\nf/g = 5\nnew/n = 6');
  const body = chainOf(copyAction('/', '/', { alwaysReplaceExistingDestPaths: true }));
  const result = await run(world, body, [base, source]);
  assert.ok(typeof result !== 'string' && result[0] !== undefined);
  assert.deepEqual(
    listing(world.merged(result[0])),
    [
      'd file 644 0:0 old "file"',
      'f dir 755 0:0 old opaque',
      'f/g file 644 0:0 old "5"',
      'keep dir 755 0:0 old',
      'keep/k file 644 0:0 old "4"',
      'new dir 755 0:0 old',
      'new/n file 644 0:0 old "6"',
    ].map((line) => line.replace(' opaque', '')),
  );
});

test('an archive is extracted by its content, another file is copied', needsRoot, async () => {
  await using world = new World();
  const tree = join(world.dir, 'tree-in');
  mkdirSync(tree);
  const { fill } = await import('./world.ts');
  fill(tree, 'in/ [755 7:8]\nin/f [640 7:8] = seven\nin/h [640 7:8] => in/f\nin/l -> f');
  const source = world.layer('plain.tar = not an archive');
  for (const [flag, name] of [
    ['-c', 'a.tar'],
    ['-cz', 'b.tar.gz'],
    ['-cJ', 'c.bin'],
  ] as const)
    execFileSync('tar', [
      `${flag}f`,
      join(world.upper(source[0]), name),
      '-C',
      tree,
      '--numeric-owner',
      'in',
    ]);
  const unpack = { attemptUnpackDockerCompatibility: true };
  const owner = { user: { kind: 'byId', byId: 1 } } as const;
  const body = chainOf(
    copyAction('/a.tar', '/a/', unpack),
    copyAction('/b.tar.gz', '/b', { ...unpack, owner }),
    copyAction('/c.bin', '/c/', unpack),
    copyAction('/plain.tar', '/p/', unpack),
  );
  const result = await run(world, body, [world.layer('etc/'), source]);
  assert.ok(typeof result !== 'string');
  const extracted = (at: string, owner: string) => [
    `${at}/in dir 755 ${owner} old`,
    `${at}/in/f file 640 ${owner} old links=2 "seven"`,
    `${at}/in/h file 640 ${owner} old links=2 "seven"`,
  ];
  assert.deepEqual(world.entries(result[0]), [
    'a dir 755 0:0',
    ...extracted('a', '7:8'),
    'a/in/l -> f 0:0 old',
    'b dir 755 1:1',
    ...extracted('b', '1:1'),
    'b/in/l -> f 1:1 old',
    'c dir 755 0:0',
    ...extracted('c', '7:8'),
    'c/in/l -> f 0:0 old',
    'p dir 755 0:0',
    'p/plain.tar file 644 0:0 old "not an archive"',
  ]);
});

test(
  'a link in a hostile archive cannot lead a later member out of the destination',
  needsRoot,
  async () => {
    await using world = new World();
    const source = world.layer('x = x');
    const [one, two] = [join(world.dir, 'one'), join(world.dir, 'two')];
    const { fill } = await import('./world.ts');
    for (const dir of [one, two]) mkdirSync(dir);
    fill(one, 'out -> /etc');
    fill(two, 'out/passwd = evil\n');
    const tar = join(world.upper(source[0]), 'evil.tar');
    execFileSync('tar', ['-cf', tar, '-C', one, 'out']);
    execFileSync('tar', [
      '-rf',
      tar,
      '-C',
      two,
      'out/passwd',
      '--transform',
      's,^passwd,../../../passwd,',
    ]);
    const body = chainOf(
      copyAction('/evil.tar', '/dest/', { attemptUnpackDockerCompatibility: true }),
    );
    const result = await run(world, body, [world.layer('etc/passwd = good'), source]);
    assert.ok(typeof result !== 'string');
    const paths = world.entries(result[0]).map((line) => line.split(' ')[0]);
    assert.deepEqual(paths, ['dest', 'dest/etc', 'dest/etc/passwd', 'dest/out']);
  },
);

test('a result that is used twice is a layer of its own', needsRoot, async () => {
  await using world = new World();
  const body: OpBody = {
    kind: 'file',
    file: {
      actions: [
        { input: -1, secondaryInput: 0, output: -1, action: copyAction('/a.txt', '/a') },
        {
          input: 1,
          secondaryInput: -1,
          output: 0,
          action: {
            kind: 'mkfile',
            mkfile: { path: '/b', mode: 0o644, data: Buffer.from('b'), timestamp: -1n },
          },
        },
        { input: 0, secondaryInput: 1, output: 1, action: copyAction('/a', '/copy') },
      ],
    },
  };
  const result = await run(world, body, [world.layer(SOURCE)]);
  assert.ok(typeof result !== 'string');
  assert.deepEqual(
    result.map((chain) =>
      chain?.map((layer) => listing(world.upper(layer)).map((l) => l.split(' ')[0])),
    ),
    [
      [['a'], ['b']],
      [['a.txt', 'b.txt', 'dir', 'dir/one', 'dir/sub', 'dir/sub/two', 'dirlink', 'link'], ['copy']],
    ],
  );
});

test(
  'a file that disappears from a context while it is copied fails the op, and its layer is dropped',
  needsRoot,
  async () => {
    await using world = new World();
    const source = world.layer('a = 1\nb = 2');
    const { failure, FailureError } = await import('../../../src/base/index.ts');
    const changed = failure('CX005', 3, 'b changed while the build was reading the context');
    const trees: typeof world.trees = {
      ...world.trees,
      tree: async (chain, context) => {
        const tree = await world.trees.tree(chain, context);
        if (!tree.ok) return tree;
        const asked = new Set<string>();
        const diskPath = (path: string): string | undefined => {
          if (path === '/b' && asked.has(path)) throw new FailureError(changed);
          asked.add(path);
          return tree.value.diskPath(path);
        };
        return { ok: true, value: { ...tree.value, diskPath } };
      },
    };
    const driver = createFileDriver({
      snapshotter: world.snapshotter as Snapshotter,
      trees,
      clock: { now: () => 7 },
    });
    const result = await driver.run(world.context(chainOf(copyAction('/', '/x/'))), [[], source]);
    assert.deepEqual(result, { ok: false, error: changed });
    assert.deepEqual(
      listing(world.dir).filter((l) => l.includes('/x')),
      [],
    );
  },
);
