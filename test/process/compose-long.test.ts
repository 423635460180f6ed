import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, createReadStream, existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { note } from '../rig/golden.ts';
import { Rig } from '../rig/rig.ts';

/** A real Debian from the mirrors of this machine: minutes, and some hundred megabytes. */
const asked = process.env['VARVE_LONG'] === '1';
const isRoot = process.getuid?.() === 0;
if (!asked) note('compose of a real Debian, and its boot: VARVE_LONG is not 1');
else if (!isRoot) note('compose of a real Debian, and its boot: needs root');

const TEMPLATE = `image: {name: mini, version: 1.0.0}
target: {os: debian, dist: debian12, arch: x86_64, imageType: raw}
systemConfig:
  hostname: mini
  packages: [openssh-server]
  kernel: {cmdline: console=ttyS0}
  users: [{name: ops}]
`;

async function compose(world: Rig, ...args: readonly string[]): Promise<string> {
  world.write('os.yml', TEMPLATE);
  const run = await world.varve(['compose', 'os.yml', '--progress=plain', ...args]);
  assert.equal(run.status, 0, run.stderr);
  return run.stderr;
}

async function digest(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  return hash.digest('hex');
}

if (asked && isRoot)
  test('a minimal Debian is the same from two empty stores, and boots to its login', async () => {
    await using one = new Rig();
    await using two = new Rig();
    await compose(one, '-o', 'type=raw,dest=disk.img');
    const said = await compose(
      two,
      '-o',
      'type=raw,dest=disk.img',
      '--boot-test=direct',
      '--boot-timeout',
      '1800',
    );
    const [first, second] = [
      await digest(join(one.work, 'disk.img')),
      await digest(join(two.work, 'disk.img')),
    ];
    assert.equal(second, first);
    const seconds = /the marker appeared after (\d+) s/.exec(said)?.[1];
    assert.ok(seconds !== undefined, said);
    note(
      `compose: Debian 12, two empty stores, 1 disk of ${first.slice(0, 12)}, login after ${seconds} s`,
    );
  });

const SAY = `[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo "root is $$(findmnt -no SOURCE,OPTIONS /), var is $$(findmnt -no FSTYPE /var)" > /dev/ttyS0'
[Install]
WantedBy=multi-user.target
`;

if (asked && isRoot)
  test('an immutable Debian starts from a root that the kernel checks', async () => {
    await using world = new Rig();
    world.write('say.service', SAY);
    world.write(
      'os.yml',
      `image: {name: sealed, version: 1.0.0}
target: {os: debian, dist: debian12, arch: x86_64, imageType: raw}
systemConfig:
  immutability: {enabled: true}
  kernel: {cmdline: console=ttyS0}
  additionalFiles: [{local: say.service, final: /etc/systemd/system/say.service}]
  configurations: [{cmd: systemctl enable say.service}]
`,
    );
    const run = await world.varve([
      ...['compose', 'os.yml', '--progress=plain', '--boot-test=direct', '--boot-timeout', '1800'],
      ...['--boot-marker', 'root is /dev/mapper/root ro,relatime, var is overlay'],
    ]);
    assert.equal(run.status, 0, run.stderr);
    note('compose: an immutable Debian 12 runs from /dev/mapper/root, read-only');
  });

if (asked && isRoot)
  test('a live medium of Debian starts by UEFI from an optical drive, and is only read', async () => {
    await using world = new Rig();
    world.write('say.service', SAY);
    world.write(
      'os.yml',
      `image: {name: live, version: 1.0.0}
target: {os: debian, dist: debian12, arch: x86_64, imageType: iso}
systemConfig:
  kernel: {cmdline: console=ttyS0}
  additionalFiles: [{local: say.service, final: /etc/systemd/system/say.service}]
  configurations: [{cmd: systemctl enable say.service}]
`,
    );
    const run = await world.varve([
      ...['compose', 'os.yml', '--progress=plain', '-o', 'type=iso,dest=live.iso'],
      ...['--boot-test=efi', '--boot-timeout', '1800'],
      ...['--boot-marker', 'root is /dev/loop0 ro,relatime'],
    ]);
    assert.equal(run.status, 0, run.stderr);
    note('compose: a live Debian 12 runs from an optical drive, started by OVMF');
  });

const FIRMWARE = '/usr/share/OVMF/OVMF_CODE_4M.fd';
const hasQemu = ['/usr/bin/qemu-system-x86_64', FIRMWARE].every((path) => existsSync(path));
if (asked && !hasQemu) note('boot of converted disks: qemu-system-x86 and ovmf are not installed');

if (asked && isRoot && hasQemu)
  test('disks in every form boot to their login', async () => {
    await using world = new Rig();
    const forms = { qcow2: 'qcow2', vhd: 'vpc', vmdk: 'vmdk' };
    await compose(world, ...Object.keys(forms).flatMap((f) => ['-o', `type=${f},dest=disk.${f}`]));
    for (const [form, format] of Object.entries(forms))
      await bootsToLogin(world.work, `file=disk.${form},format=${format},if=virtio,snapshot=on`);
    note('compose: Debian 12 boots from qcow2, vhd and vmdk');
  });

/** Starts a machine with firmware and a drive, and waits for the login on its serial console. */
async function bootsToLogin(cwd: string, drive: string): Promise<void> {
  copyFileSync('/usr/share/OVMF/OVMF_VARS_4M.fd', join(cwd, 'vars.fd'));
  const flash = 'if=pflash,format=raw';
  const machine = spawn(
    'qemu-system-x86_64',
    [
      ...[
        '-machine',
        'q35',
        '-accel',
        'tcg,thread=multi',
        '-cpu',
        'max',
        '-smp',
        '2',
        '-m',
        '1024',
      ],
      ...['-display', 'none', '-monitor', 'none', '-nic', 'none', '-no-reboot', '-serial', 'stdio'],
      ...['-drive', `${flash},readonly=on,file=${FIRMWARE}`, '-drive', `${flash},file=vars.fd`],
      ...['-drive', drive],
    ],
    { cwd, stdio: ['ignore', 'pipe', 'inherit'], timeout: 1_800_000 },
  );
  let said = '';
  for await (const chunk of machine.stdout) {
    said += String(chunk);
    if (said.includes('login:')) break;
  }
  machine.kill('SIGKILL');
  assert.ok(said.includes('login:'), `${drive}: ${said.slice(-2000)}`);
}
