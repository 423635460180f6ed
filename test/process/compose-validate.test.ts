import assert from 'node:assert/strict';
import { readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { note } from '../rig/golden.ts';
import { Rig } from '../rig/rig.ts';

let rig: Rig;
before(() => {
  rig = new Rig();
});
after(async () => {
  await rig[Symbol.asyncDispose]();
});

/** One template a distribution, with what its kind of template uses. */
const TARGETS = [
  ['debian', 'debian13', 'x86_64'],
  ['debian', 'debian12', 'aarch64'],
  ['ubuntu', 'ubuntu24', 'x86_64'],
  ['azure-linux', 'azl3', 'x86_64'],
  ['edge-microvisor-toolkit', 'emt3', 'x86_64'],
  ['wind-river-elxr', 'elxr12', 'x86_64'],
] as const;

const template = (os: string, dist: string, arch: string): string => `image:
  name: minimal-os-image
  version: 1.0.0
target: {os: ${os}, dist: ${dist}, arch: ${arch}, imageType: raw}
disk:
  name: default
  artifacts: [{type: raw, compression: gz}, {type: vhdx}]
  size: 4GiB
  partitionTableType: gpt
  partitions:
    - {id: boot, type: esp, flags: [esp, boot], start: 1MiB, end: 513MiB, fsType: fat32, mountPoint: /boot/efi, mountOptions: umask=0077}
    - {id: rootfs, type: linux-root-amd64, start: 513MiB, end: "0", fsType: ext4, mountPoint: /, mountOptions: defaults}
systemConfig:
  name: minimal
  description: a minimal system
  immutability: {enabled: false}
  bootloader: {bootType: efi, provider: systemd-boot}
  users: [{name: user, password: plain, hash_algo: sha512, sudo: true}]
  packages: [openssh-server]
  additionalFiles: [{local: ../a, final: /etc/a}]
  configurations: [{cmd: "touch /etc/dummy0.txt"}]
  kernel: {version: "6.12", cmdline: "console=ttyS0,115200 console=tty0 loglevel=7"}
`;

test('templates of every distribution that is described are valid', async () => {
  const failing: string[] = [];
  for (const [os, dist, arch] of TARGETS) {
    rig.write(`${dist}.yml`, template(os, dist, arch));
    const run = await rig.varve(['compose', 'validate', `${dist}.yml`]);
    if (run.status !== 0) failing.push(`${dist}: ${run.stderr}`);
  }
  assert.deepEqual(failing, []);
  note(`compose validate: ${TARGETS.length} distributions`);
});

test('distributions of one’s own are described below the directory that a configuration names', async () => {
  const known = readFileSync(join(import.meta.dirname, '../../providers/debian12.yml'), 'utf8');
  rig.write('conf/providers/own.yml', known.replace('dist: debian12', 'dist: own12'));
  rig.write('own.yml', template('debian', 'own12', 'x86_64'));
  rig.write('global.yml', 'config_dir: conf\n');
  const validate = async (...args: readonly string[]): Promise<readonly unknown[]> => {
    const run = await rig.varve(['compose', 'validate', 'own.yml', ...args]);
    return [run.status, `${run.stdout}${run.stderr}`.split('\n')[0]];
  };
  assert.deepEqual(
    [await validate(), await validate('--config', 'global.yml')],
    [
      [2, 'error[TP007]: nothing is known of debian own12'],
      [0, 'own.yml: minimal-os-image 1.0.0 for own12 x86_64 is valid'],
    ],
  );
});

test('a log file has the progress and what is said; a level decides what the terminal shows', async () => {
  rig.write('base.yml', 'suite: nowhere\nmirrors: [{uri: "file:///nowhere"}]\n');
  rig.write('log.yml', 'logging: {level: error, file: build.log}\n');
  const run = await rig.varve(['compose', 'base.yml', '--config', 'log.yml', '-t', 'x']);
  const path = join(rig.work, 'build.log');
  const log = readFileSync(path, 'utf8');
  assert.deepEqual(
    {
      status: run.status,
      shown: run.stderr.split('\n').filter((line) => /^(?:#|error|warning)/.test(line)).length,
      first: run.stderr.split('\n')[0]?.slice(0, 6),
      progress: log.includes('[internal] load build definition'),
      said: log.endsWith(run.stderr),
      mode: (statSync(path).mode & 0o777).toString(8),
    },
    { status: run.status, shown: 1, first: 'error[', progress: true, said: true, mode: '600' },
  );
  assert.notEqual(run.status, 0);
  rmSync(path);
});

test('an unknown key and a wrong value are shown where they stand', async () => {
  rig.write(
    'bad.yml',
    template('debian', 'debian12', 'x86_64')
      .replace('hostname', 'x')
      .replace('  kernel:', '  kernal:')
      .replace('partitionTableType: gpt', 'partitionTableType: apm'),
  );
  const run = await rig.varve(['compose', 'validate', 'bad.yml']);
  assert.deepEqual(
    [run.status, run.stderr.match(/error\[\w+\]: .*|--> \S+/g)],
    [
      2,
      [
        'error[TP003]: disk.partitionTableType: expected one of "gpt", "mbr"',
        '--> bad.yml:9:23',
        'error[TP002]: unknown key "kernal" in systemConfig',
        '--> bad.yml:22:3',
      ],
    ],
  );
});

test('partitions that overlap, and a distribution that nothing is known of, are refused', async () => {
  rig.write(
    'overlap.yml',
    template('debian', 'debian12', 'x86_64').replace('start: 513MiB', 'start: 512MiB'),
  );
  rig.write('unknown.yml', template('debian', 'debian9', 'x86_64'));
  const runs = [
    await rig.varve(['compose', 'validate', 'overlap.yml']),
    await rig.varve(['compose', 'validate', 'unknown.yml']),
  ];
  assert.deepEqual(
    runs.map((run) => [run.status, run.stderr.match(/error\[\w+\]: .*|--> \S+/g)]),
    [
      [2, ['error[TP009]: partitions boot and rootfs overlap', '--> overlap.yml:11:5']],
      [2, ['error[TP007]: nothing is known of debian debian9', '--> unknown.yml:4:28']],
    ],
  );
});

test('a template takes what it does not say from the one that it extends', async () => {
  rig.write('base.yml', template('debian', 'debian12', 'x86_64'));
  rig.write(
    'child.yml',
    'extends: base.yml\nimage: {name: child, version: "2"}\nsystemConfig:\n  packages: [nginx]\n  users: [{name: user}, {name: more}]\n  kernel: {cmdline: quiet}\n',
  );
  const run = await rig.varve(['compose', 'validate', '--merged', 'child.yml']);
  assert.equal(run.status, 0, run.stderr);
  const merged = JSON.parse(run.stdout) as Readonly<
    Record<string, Readonly<Record<string, unknown>>>
  >;
  assert.deepEqual(
    {
      image: merged['image'],
      dist: merged['target']?.['dist'],
      packages: merged['systemConfig']?.['packages'],
      users: merged['systemConfig']?.['users'],
      kernel: merged['systemConfig']?.['kernel'],
      size: merged['disk']?.['size'],
    },
    {
      image: { name: 'child', version: '2' },
      dist: 'debian12',
      packages: ['openssh-server', 'nginx'],
      users: [{ name: 'user' }, { name: 'more' }],
      kernel: { version: '6.12', cmdline: 'quiet' },
      size: '4GiB',
    },
  );
});

test('what cannot be made is refused before anything is', async () => {
  rig.write('plain.yml', template('debian', 'debian12', 'x86_64'));
  rig.write('rpm.yml', template('azure-linux', 'azl3', 'x86_64'));
  const runs = [
    await rig.varve(['compose', 'plain.yml']),
    await rig.varve(['compose', 'resolve', 'rpm.yml']),
  ];
  assert.deepEqual(
    runs.map((run) => [run.status, run.stderr.split('\n')[0]]),
    [
      [2, 'error[TP008]: the password of user is not hashed'],
      [2, 'error[TP013]: no repository of azurelinux 3.0 is known'],
    ],
  );
});
