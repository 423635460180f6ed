import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sha256 } from '../../src/base/index.ts';
import { DiskRepo, needsDiskTools } from '../rig/disk-repo.ts';
import { executed, type Wishes, writeDiskTemplate } from '../rig/disk-template.ts';
import { Rig, type Run } from '../rig/rig.ts';

const skip = { skip: needsDiskTools };
let tiny: DiskRepo | undefined;
let rig: Rig;

before(async () => {
  rig = new Rig();
  if (needsDiskTools === false) tiny = await DiskRepo.start();
});
after(async () => {
  await tiny?.[Symbol.asyncDispose]();
  await rig[Symbol.asyncDispose]();
});

const write = (wishes: Wishes): void => {
  assert.ok(tiny);
  writeDiskTemplate(rig, tiny, wishes);
};
const compose = async (...args: readonly string[]): Promise<Run> =>
  await rig.varve(['compose', 'os.yml', '--progress=plain', ...args]);
const at = (name: string): string => join(rig.work, name);
const digest = (name: string): string => sha256(readFileSync(at(name)));

const PARTITIONS = `    - {id: boot, type: esp, fsType: fat32, start: 1MiB, end: 17MiB, mountPoint: /boot/efi}
    - {id: roothashmap, type: linux, start: 17MiB, end: 19MiB, mountPoint: none}
    - {id: rootfs, fsType: ext4, start: 19MiB, end: "0", mountPoint: /}
`;
const IMMUTABLE = {
  partitions: PARTITIONS,
  system:
    '  immutability: {enabled: true, secureBootDBKey: db.key, secureBootDBCrt: db.crt, secureBootDBCer: db.cer}\n',
};

function makeKeys(): void {
  const request = 'req -new -x509 -newkey rsa:2048 -nodes -subj /CN=tiny -days 3650';
  const run = (args: string): void =>
    void execFileSync('openssl', args.split(' '), { cwd: rig.work, stdio: 'ignore' });
  run(`${request} -keyout db.key -out db.crt`);
  run('x509 -in db.crt -outform der -out db.cer');
}

interface Part {
  readonly start: number;
  readonly size: number;
  readonly type: string;
  readonly uuid: string;
}

function partitions(disk: string): readonly Part[] {
  const json = execFileSync('sfdisk', ['--json', at(disk)], { encoding: 'utf8' });
  return [
    ...json.matchAll(
      /"start": ?(\d+),\s*"size": ?(\d+),\s*"type": ?"([^"]+)",\s*"uuid": ?"([^"]+)"/g,
    ),
  ].map(([, start, size, type = '', uuid = '']) => ({
    ...{ start: Number(start), size: Number(size), type, uuid },
  }));
}

function cut(disk: string, { start, size }: Part, to: string): void {
  execFileSync('dd', [
    ...[`if=${at(disk)}`, `of=${at(to)}`, 'bs=512', `skip=${start}`, `count=${size}`],
    ...['conv=sparse', 'status=none'],
  ]);
}

const kernelImage = (disk: string): Buffer =>
  execFileSync('mcopy', ['-n', '-i', `${at(disk)}@@1M`, '::/EFI/BOOT/BOOTX64.EFI', '-'], {
    maxBuffer: 1 << 26,
  });

test(
  'an immutable root has hashes that find one changed byte, its kernel image is signed with them in it, twice the same, and the key is nowhere',
  skip,
  async () => {
    makeKeys();
    write(IMMUTABLE);
    const made = await compose('-o', 'type=raw,dest=disk.img');
    assert.equal(made.status, 0, made.stderr);
    const [, hashes, root] = partitions('disk.img');
    assert.ok(hashes !== undefined && root !== undefined);
    cut('disk.img', hashes, 'hashes');
    cut('disk.img', root, 'root');
    const image = kernelImage('disk.img').toString('latin1');
    const [arguments_ = '', hash = ''] =
      /root=\/dev\/mapper\/root[^\0]* roothash=([0-9a-f]{64})[^\0]*/.exec(image) ?? [];
    const halves = [hash.slice(0, 32), hash.slice(32)];
    assert.deepEqual(
      {
        arguments: arguments_,
        types: [hashes.type, root.type],
        uuids: [root, hashes].map((p) => p.uuid.toLowerCase().replaceAll('-', '')),
      },
      {
        arguments: `root=/dev/mapper/root rootfstype=ext4 ro roothash=${hash} systemd.verity_root_data=PARTUUID=${root.uuid.toLowerCase()} systemd.verity_root_hash=PARTUUID=${hashes.uuid.toLowerCase()} quiet`,
        types: ['2C7357ED-EBD2-46D9-AEC1-23D437EC2BF5', '4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709'],
        uuids: halves,
      },
    );
    const verify = (): readonly unknown[] => {
      const args = ['verify', at('root'), at('hashes'), hash];
      const run = spawnSync('veritysetup', args, { encoding: 'utf8' });
      return [run.status === 0, run.stderr.split('\n')[0]];
    };
    const whole = verify();
    const fd = openSync(at('root'), 'r+');
    writeSync(fd, Buffer.from('x'), 0, 1, 4096 * 300 + 17);
    closeSync(fd);
    assert.deepEqual(
      [whole, verify()],
      [
        [true, ''],
        [false, `Verification failed at position ${4096 * 300}.`],
      ],
    );
    rig.write('signed.efi', kernelImage('disk.img'));
    execFileSync('sbverify', ['--cert', at('db.crt'), at('signed.efi')], { stdio: 'ignore' });
    const before = digest('disk.img');
    const again = await compose('-o', 'type=raw,dest=disk.img', '--no-cache');
    assert.deepEqual([again.status, digest('disk.img')], [0, before], again.stderr);
    const key = readFileSync(at('db.key'));
    const secret = key.subarray(100, 164);
    const holding = readdirSync(rig.store, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((path) => readFileSync(path).includes(secret));
    assert.deepEqual(holding, []);
    assert.ok(!`${made.stderr}${again.stderr}`.includes(secret.toString()));
    write({ ...IMMUTABLE, cmdline: 'debug' });
    assert.deepEqual(executed(await compose('-o', 'type=raw,dest=disk.img')), [
      'disk',
      'esp',
      'signed',
      'uki',
    ]);
  },
);

test('an immutable root without a partition for its hashes is refused', skip, async () => {
  write({ system: '  immutability: {enabled: true}\n' });
  const run = await rig.varve(['compose', 'validate', 'os.yml']);
  assert.deepEqual(
    [run.status, run.stderr.split('\n')[0]],
    [2, 'error[TP009]: an immutable root needs a partition for its hashes'],
  );
});

/**
 * Whether the El Torito image begins inside the volume: firmware takes it to end where the volume does (ECMA-119, 8.4.9: the size;
 * El Torito 1.0: boot record in sector 17, first entry of the catalogue).
 */
function bootsFromInside(iso: Buffer): boolean {
  const catalogue = iso.readUInt32LE(17 * 2048 + 71) * 2048;
  return iso.readUInt32LE(catalogue + 32 + 8) < iso.readUInt32LE(16 * 2048 + 80);
}

test(
  'a live medium starts by UEFI from its own partition, holds the root, and is the same twice',
  skip,
  async () => {
    write({ imageType: 'iso', cmdline: 'quiet, enableExtraModules: one two' });
    const made = await compose('-o', 'type=iso,dest=live.iso');
    assert.equal(made.status, 0, made.stderr);
    const before = digest('live.iso');
    const again = await compose('-o', 'type=iso,dest=live.iso', '--no-cache');
    assert.deepEqual([again.status, digest('live.iso')], [0, before], again.stderr);
    const report = (what: string): string =>
      execFileSync('xorriso', ['-indev', at('live.iso'), ...what.split(' ')], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      });
    const found = report('-find / -type f');
    const torito = report('-report_el_torito plain');
    assert.deepEqual(
      {
        files: found.trim().split('\n'),
        boot: /El Torito boot img :\s+1\s+(\S+)\s+\S+\s+(\S+)/.exec(torito)?.slice(1),
        label: /Volume Id\s*:\s*(\S+)/.exec(report('-pvd_info'))?.[1],
        inside: bootsFromInside(readFileSync(at('live.iso'))),
      },
      {
        files: ["'/boot/esp.img'", "'/live/root.img'"],
        boot: ['UEFI', 'none'],
        label: 'TINY',
        inside: true,
      },
    );
    const esp = partitions('live.iso').find((p) => p.type.startsWith('C12A7328'));
    assert.ok(esp !== undefined);
    cut('live.iso', esp, 'esp');
    const image = execFileSync('mcopy', ['-n', '-i', at('esp'), '::/EFI/BOOT/BOOTX64.EFI', '-'], {
      encoding: 'latin1',
      maxBuffer: 1 << 26,
    });
    assert.ok(image.includes('root=/dev/loop0 rootfstype=squashfs ro varve.medium=TINY quiet\0'));
    assert.ok(image.includes('kernel for all\n'), 'the kernel that knows optical drives');
    assert.ok(image.includes('initramfs of 6.1-tiny\none\ntwo\n'), 'the extra modules');
    const raw = await compose('-o', 'type=raw,dest=disk.img');
    assert.deepEqual(
      [raw.status, raw.stderr.split('\n')[0]],
      [2, 'error[CL002]: --output: raw of a template with imageType: iso'],
    );
  },
);
