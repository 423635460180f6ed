import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { note } from '../rig/golden.ts';
import { Rig } from '../rig/rig.ts';
import { needsRpmDisk, RpmDiskRepo, writeRpmDiskTemplate } from '../rig/rpm-disk-repo.ts';

/** A kernel of Debian from the mirrors of this machine, and a machine that is emulated: minutes. */
const asked = process.env['VARVE_LONG'] === '1';
const FIRMWARE = '/usr/share/OVMF/OVMF_CODE_4M.fd';
const missing =
  needsRpmDisk.skip ??
  (existsSync(FIRMWARE) && existsSync('/usr/bin/qemu-system-x86_64')
    ? undefined
    : 'qemu-system-x86 or ovmf is not installed');
if (!asked) note('boot of a disk of rpm packages: VARVE_LONG is not 1');
else if (missing !== undefined) note(`boot of a disk of rpm packages: ${missing}`);

const MARKER = 'tiny rpm system is up';
const BOOT_S = 900;

/** The newest kernel that apt knows, unpacked. */
function debianKernel(dir: string): string {
  const depends = execFileSync('apt-cache', ['depends', 'linux-image-cloud-amd64'], {
    encoding: 'utf8',
  });
  const name = /Depends: (linux-image-\S+)/.exec(depends)?.[1] ?? '';
  execFileSync('apt-get', ['download', name], { cwd: dir, stdio: 'ignore' });
  const [deb = ''] = readdirSync(dir).filter((file) => file.endsWith('.deb'));
  execFileSync('dpkg-deb', ['-x', join(dir, deb), join(dir, 'kernel')]);
  const [kernel = ''] = readdirSync(join(dir, 'kernel/boot')).filter((f) =>
    f.startsWith('vmlinuz'),
  );
  return join(dir, 'kernel/boot', kernel);
}

/** Starts a machine of the firmware and the disk, until the console shows the marker; seconds. */
async function boot(disk: string, dir: string): Promise<number> {
  const [vars, serial] = [join(dir, 'vars.fd'), join(dir, 'serial.log')];
  copyFileSync('/usr/share/OVMF/OVMF_VARS_4M.fd', vars);
  const began = Date.now();
  const machine = spawn('qemu-system-x86_64', [
    ...['-machine', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2', '-m', '768'],
    ...['-display', 'none', '-monitor', 'none', '-nic', 'none', '-no-reboot'],
    ...['-serial', `file:${serial}`],
    ...['-drive', `if=pflash,format=raw,readonly=on,file=${FIRMWARE}`],
    ...['-drive', `if=pflash,format=raw,file=${vars}`],
    ...['-drive', `file=${disk},format=raw,if=virtio,snapshot=on`],
  ]);
  const ended = new Promise((resolve) => machine.on('close', resolve));
  try {
    for (;;) {
      const text = existsSync(serial) ? readFileSync(serial, 'latin1') : '';
      const seconds = Math.round((Date.now() - began) / 1000);
      if (text.includes(MARKER)) return seconds;
      assert.ok(seconds < BOOT_S && machine.exitCode === null, text.slice(-2000));
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  } finally {
    machine.kill();
    await ended;
  }
}

if (asked && missing === undefined)
  test('a disk of rpm packages is started by firmware and runs its initramfs', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'varve-rpm-boot-'));
    try {
      await using tiny = await RpmDiskRepo.start([], debianKernel(dir));
      await using world = new Rig();
      writeRpmDiskTemplate(world, tiny, { cmdline: 'console=ttyS0' });
      const text = readFileSync(join(world.work, 'os.yml'), 'utf8');
      world.write('os.yml', text.replaceAll('17MiB', '65MiB'));
      const made = await world.varve(['compose', 'os.yml', '-o', 'type=raw,dest=disk.img']);
      assert.equal(made.status, 0, made.stderr);
      const seconds = await boot(join(world.work, 'disk.img'), dir);
      note(
        `a disk of rpm packages with a kernel of Debian: marker after ${seconds} s of emulation`,
      );
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
