import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Rig, type Run } from '../rig/rig.ts';
import { addBaseSystem, needsRpmRoot, RpmRepo } from '../rig/rpm-repo.ts';

let repo: RpmRepo | undefined;

/** What useradd(8) does: the highest number that is free. */
const ADD_ACCOUNT = `id=999
while cat /etc/passwd | sed -n "/:x:$id:/p" | sed -n 's/.*/taken/p' | { read -r found; [ -n "$found" ]; }; do id=$((id - 1)); done
echo "NAME:x:$id:$id::/:/bin/false" >> /etc/passwd
echo "NAME:x:$id:" >> /etc/group
echo "NAME:!:20700::::::" >> /etc/shadow`;

before(async () => {
  if (needsRpmRoot.skip !== undefined) return;
  repo = await RpmRepo.start();
  addBaseSystem(repo);
  repo.add([
    {
      name: 'service',
      tags: [
        'Requires: bash',
        'Requires(post): bash',
        'Requires: (helper if bash)',
        'Recommends: manual',
      ],
      files: { 'etc/service.conf': 'on\n', 'usr/bin/service': 'x\n', 'usr/share/link-a': 'same\n' },
      modes: { 'usr/bin/service': 0o4755 },
      install: [
        'ln %{buildroot}/usr/share/link-a %{buildroot}/usr/share/link-b',
        'ln -s link-a %{buildroot}/usr/share/soft',
      ],
      sections: [
        '%post\necho "installed $1" > /etc/service.state',
        '%triggerin -- helper\necho trigger >> /etc/service.triggers',
      ],
      listed: [
        '%config(noreplace) /etc/service.conf',
        '%attr(4755,root,daemon) /usr/bin/service',
        '/usr/share/link-a',
        '/usr/share/link-b',
        '/usr/share/soft',
        '%ghost /var/lib/service.db',
      ],
    },
    { name: 'helper', version: '2', epoch: 1, files: { 'usr/share/helper': 'two\n' } },
    { name: 'manual', files: { 'usr/share/doc/manual': 'read\n' } },
    ...['alpha', 'beta'].map((name) => ({
      name: `daemon-${name}`,
      tags: ['Requires(pre): bash'],
      files: { [`var/lib/${name}/data`]: `${name}\n` },
      sections: [`%pre\n${ADD_ACCOUNT.replaceAll('NAME', name)}`],
      listed: [`%attr(640,${name},${name}) /var/lib/${name}/data`],
    })),
    {
      name: 'extra',
      files: { 'usr/share/extra': 'more\n' },
      tags: ['Requires: /usr/share/helper'],
    },
  ]);
  repo.publish();
});
after(async () => await repo?.[Symbol.asyncDispose]());

function writeTemplate(world: Rig, packages = 'service'): void {
  assert.ok(repo);
  world.write(
    'base.yml',
    `distribution: tiny
release: "1"
architecture: x86_64
repositories:
  - {uri: "${repo.uri}", keys: ["${repo.key()}"]}
packages: [${packages}]
users: [{name: app, uid: 1000}]
cmd: [sh]
`,
  );
}

const compose = async (world: Rig, ...args: readonly string[]): Promise<Run> =>
  await world.varve(['compose', 'base.yml', '--progress=plain', ...args]);
const TAR = ['-o', 'type=tar,dest=root.tar'];

/** The exported root, with its owners. */
function unpacked(world: Rig): string {
  const root = join(world.work, 'root');
  mkdirSync(root);
  execFileSync('tar', ['-C', root, '--numeric-owner', '-xpf', join(world.work, 'root.tar')]);
  return root;
}

const rpm = (root: string, ...args: readonly string[]): string => {
  try {
    return execFileSync('rpm', ['--root', root, '--dbpath', '/var/lib/rpm', ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  } catch (e) {
    return e instanceof Error && 'stdout' in e ? String(e.stdout) : assert.fail(String(e));
  }
};

test('rpm itself finds what it should in a root of signed packages', needsRpmRoot, async () => {
  await using world = new Rig();
  writeTemplate(world);
  const made = await compose(world, ...TAR);
  assert.equal(made.status, 0, made.stderr);
  const root = unpacked(world);
  assert.deepEqual(rpm(root, '-qa').trim().split('\n').sort(), [
    'bash-1-1.x86_64',
    'filesystem-1-1.noarch',
    'helper-2-1.noarch',
    'service-1-1.noarch',
  ]);
  // Accounts were added to these; the group of a file is looked up in this machine's list.
  assert.equal(
    rpm(root, '-Va').replaceAll(
      /^\S+ +(?:c )?\/(?:etc\/(?:passwd|group|shadow)|usr\/bin\/service)\n/gm,
      '',
    ),
    '',
  );
  const service = lstatSync(join(root, 'usr/bin/service'));
  assert.deepEqual(
    [
      readFileSync(join(root, 'etc/service.state'), 'utf8'),
      readFileSync(join(root, 'etc/service.triggers'), 'utf8'),
      existsSync(join(root, 'var/made-by-lua')),
      existsSync(join(root, 'var/lib/service.db')),
      [service.mode.toString(8), service.uid, service.gid],
      lstatSync(join(root, 'usr/share/link-a')).ino ===
        lstatSync(join(root, 'usr/share/link-b')).ino,
      existsSync(join(root, 'usr/share/doc/manual')),
      existsSync(join(root, 'run/varve-tools')),
    ],
    ['installed 1\n', 'trigger\n', true, false, ['104755', 0, 2], true, false, false],
  );
});

/** Whether the root was made anew by a run. */
const wasMade = (run: Run): boolean => {
  assert.equal(run.status, 0, run.stderr);
  return /fetch \d+ packages/.test(run.stderr);
};
const digest = (world: Rig): string =>
  createHash('sha256')
    .update(readFileSync(join(world.work, 'root.tar')))
    .digest('hex');

test(
  'the same packages are the same bytes on another machine, and are made once',
  needsRpmRoot,
  async () => {
    assert.ok(repo);
    await using world = new Rig();
    writeTemplate(world, 'helper');
    assert.equal(wasMade(await compose(world, ...TAR)), true);
    const bytes = digest(world);
    assert.equal(wasMade(await compose(world, ...TAR)), false);
    writeTemplate(world, 'helper, manual');
    assert.equal(wasMade(await compose(world, ...TAR)), true);
    writeTemplate(world, 'helper');
    assert.equal(wasMade(await compose(world, ...TAR)), false);
    assert.equal(digest(world), bytes);
    await using other = new Rig();
    writeTemplate(other, 'helper');
    assert.equal(wasMade(await compose(other, ...TAR)), true);
    assert.equal(digest(other), bytes);
  },
);

test(
  'a root of rpm packages grows from the nearest earlier one, and is what a clean build makes',
  needsRpmRoot,
  async () => {
    await using world = new Rig();
    writeTemplate(world, 'daemon-beta, helper');
    const first = await compose(world, ...TAR);
    assert.equal(first.status, 0, first.stderr);
    writeTemplate(world, 'daemon-alpha, daemon-beta, service, helper');
    const grown = await compose(world, ...TAR);
    assert.equal(grown.status, 0, grown.stderr);
    const bytes = digest(world);
    const clean = await compose(world, '--clean', ...TAR);
    const fetched = (run: Run): readonly string[] => [
      ...new Set([...run.stderr.matchAll(/fetch (\d+) packages/g)].map(([, n]) => n ?? '')),
    ];
    assert.deepEqual(
      [fetched(first), fetched(grown), fetched(clean), digest(world) === bytes],
      // Two packages and the two of the tools each time; accounts come without a package.
      [['4', '0'], ['4', '0'], ['8'], true],
      clean.stderr,
    );
    const verified = await world.varve(['compose', 'verify', 'base.yml']);
    assert.deepEqual(
      [verified.status, /^\d+ files: the same as from nothing\n$/.test(verified.stdout)],
      [0, true],
      verified.stderr,
    );
    const root = unpacked(world);
    const accounts = readFileSync(join(root, 'etc/passwd'), 'utf8').match(/^(?:alpha|beta):.*/gm);
    const owner = lstatSync(join(root, 'var/lib/alpha/data'));
    assert.deepEqual(
      [accounts, [owner.uid, owner.gid], rpm(root, '-qa').trim().split('\n').length],
      [['alpha:x:917:917::/:/bin/false', 'beta:x:843:843::/:/bin/false'], [917, 917], 6],
    );
  },
);

test(
  'a script that fails or hangs before installation fails the root, one that fails behind it is a warning',
  needsRpmRoot,
  async () => {
    assert.ok(repo);
    repo.add([
      { name: 'bad-pre', tags: ['Requires(pre): bash'], sections: ['%pre\necho no way; exit 3'] },
      { name: 'hangs', tags: ['Requires(pre): bash'], sections: ['%pre\nsleep 600'] },
      { name: 'bad-post', tags: ['Requires(post): bash'], sections: ['%post\nexit 4'] },
    ]);
    repo.publish();
    await using world = new Rig();
    writeTemplate(world, 'bad-pre');
    const refused = await compose(world, ...TAR);
    assert.deepEqual(
      [
        refused.status,
        /error\[PK050\]: rpm cannot install the packages/.test(refused.stderr),
        /%pre\S* scriptlet failed, exit status 3/.test(refused.stderr),
      ],
      [1, true, true],
    );
    writeTemplate(world, 'hangs');
    const ended = await compose(world, ...TAR, '--step-timeout', '4');
    assert.deepEqual(
      [
        ended.status,
        ended.stderr.match(/^error\[PK050\].*/m)?.[0].replace(/\d+(?:\.\d+)? s/, 'N s'),
      ],
      [1, 'error[PK050]: rpm cannot install the packages (time limit of N s exceeded)'],
    );
    writeTemplate(world, 'bad-post');
    const made = await compose(world, ...TAR);
    assert.deepEqual(
      [made.status, /%post\S* scriptlet failed, exit status 4/.test(made.stderr)],
      [0, true],
    );
  },
);

test(
  'links that a package leaves in the place of directories lead nowhere outside its root',
  needsRpmRoot,
  async () => {
    assert.ok(repo);
    const outside = mkdtempSync('/var/lib/varve-outside-');
    try {
      for (const name of ['keep', 'ssh_host_rsa_key', 'machine-id', 'rpmdb.sqlite-wal', 'passwd'])
        writeFileSync(join(outside, name), name);
      repo.add([
        {
          name: 'linker',
          tags: ['Requires(posttrans): bash'],
          sections: [
            `%posttrans\nmkdir -p /var /moved\nfor dir in /tmp /var/tmp /etc/ssh; do rm -rf $dir; ln -s ${outside} $dir; done\nln -s ${outside}/machine-id /etc/machine-id\ncat /etc/passwd > /moved/passwd; rm /etc/passwd; ln -s ${outside}/passwd /etc/passwd`,
          ],
        },
      ]);
      repo.publish();
      await using world = new Rig();
      writeTemplate(world, 'linker');
      const text = readFileSync(join(world.work, 'base.yml'), 'utf8');
      world.write('base.yml', text.replace('users: [{name: app, uid: 1000}]', ''));
      const made = await compose(world, ...TAR);
      assert.equal(made.status, 0, made.stderr);
      const left = readdirSync(outside).map((name) => [
        name,
        readFileSync(join(outside, name), 'utf8'),
      ]);
      assert.deepEqual(
        left.sort(),
        ['keep', 'machine-id', 'passwd', 'rpmdb.sqlite-wal', 'ssh_host_rsa_key'].map((name) => [
          name,
          name,
        ]),
      );
    } finally {
      rmSync(outside, { recursive: true, force: true });
    }
  },
);
