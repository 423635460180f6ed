import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  baseFiles,
  copyInto,
  DATA,
  librariesOf,
  needsDiskTools,
  PROGRAMS,
  STUB,
} from './disk-repo.ts';
import { HASH, type Wishes } from './disk-template.ts';
import type { Rig } from './rig.ts';
import { copyRpmInto, needsRpmRoot, RpmRepo, type TestRpm } from './rpm-repo.ts';

/** Option for `test()`: disks can be made of rpm packages. */
export const needsRpmDisk: { readonly skip?: string } =
  needsDiskTools === false ? needsRpmRoot : { skip: needsDiskTools };

/** What this distribution calls packages that Debian calls otherwise. */
const RENAMED: Readonly<Record<string, string>> = {
  'tiny-base': 'bash',
  passwd: 'shadow-utils',
  fdisk: 'util-linux',
  'qemu-utils': 'qemu-img',
  'xz-utils': 'xz',
};

/** Packages that need only be there. */
const EMPTY = [
  ...['azurelinux-release', 'edge-release', 'coreutils', 'findutils', 'gawk', 'grep', 'sed'],
  ...['systemd-udev', 'dbus', 'kmod', 'iproute', 'dracut-virtio'],
  ...['erofs-utils', 'squashfs-tools', 'edk2-ovmf', 'qemu-system-x86'],
];

/** An initramfs that is a real archive: whoever boots it sees the marker on the console. */
const DRACUT = `#!/bin/sh
set -eu
for last; do :; done
rm -rf /tmp/initrd
mkdir -p /tmp/initrd/bin /tmp/initrd/proc /tmp/initrd/dev
cp /usr/bin/busybox /tmp/initrd/bin/busybox
ln -s busybox /tmp/initrd/bin/sh
cat > /tmp/initrd/init <<'END'
#!/bin/sh
/bin/busybox mount -t devtmpfs none /dev
echo "tiny rpm system is up" > /dev/console
/bin/busybox sleep 600
END
chmod 755 /tmp/initrd/init
cat /usr/lib/dracut/modules.d/* > /tmp/initrd/modules 2>/dev/null || :
find /tmp/initrd -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
cd /tmp/initrd
find . | sort | busybox cpio -o -H newc --renumber-inodes --ignore-devno > "$last" 2>/dev/null
cd /
rm -rf /tmp/initrd
`;

/** A distribution of rpm packages of this machine's programs, in which the stages of a disk can run. */
export class RpmDiskRepo implements AsyncDisposable {
  readonly repo: RpmRepo;
  readonly #dir = mkdtempSync(join(tmpdir(), 'varve-rpm-disk-'));

  private constructor(repo: RpmRepo) {
    this.repo = repo;
  }

  /** Packages, the kernel a file of this machine or only bytes; `more` come beside them. */
  static async start(more: readonly TestRpm[] = [], kernel?: string): Promise<RpmDiskRepo> {
    const made = new RpmDiskRepo(await RpmRepo.start());
    made.repo.add([...made.#base(kernel), ...made.#programs(), ...more]);
    made.repo.publish();
    return made;
  }

  #base(kernel: string | undefined): readonly TestRpm[] {
    const links = join(this.#dir, 'filesystem');
    for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
      mkdirSync(join(links, 'usr', name), { recursive: true });
      symlinkSync(`usr/${name}`, join(links, name));
    }
    baseFiles(links);
    const shell = join(this.#dir, 'busybox');
    mkdirSync(shell);
    // Everything but programs belongs to the package of directories.
    mkdirSync(join(shell, 'usr'));
    renameSync(join(links, 'usr/bin'), join(shell, 'usr/bin'));
    mkdirSync(join(links, 'usr/bin'));
    const rpm = join(this.#dir, 'rpm');
    copyRpmInto(rpm);
    renameSync(join(rpm, 'lib64'), join(rpm, 'usr/lib64'));
    const boot = join(this.#dir, 'kernel');
    if (kernel !== undefined) {
      mkdirSync(join(boot, 'boot'), { recursive: true });
      cpSync(kernel, join(boot, 'boot/vmlinuz-6.6-tiny'));
    }
    const common = ['Requires: filesystem'];
    return [
      {
        name: 'filesystem',
        tree: links,
        sections: ['%post -p <lua>\nposix.mkdir("/var/made-by-lua")'],
      },
      { name: 'busybox', arch: 'x86_64', tree: shell, tags: common },
      { name: 'rpm', arch: 'x86_64', tree: rpm, tags: common, payload: 'w1.zstdio' },
      {
        name: 'kernel',
        version: '6.6',
        arch: 'x86_64',
        tags: [...common, 'Requires: kmod'],
        ...(kernel === undefined
          ? { files: { 'boot/vmlinuz-6.6-tiny': 'kernel\n' } }
          : { tree: boot }),
      },
      {
        name: 'dracut',
        tags: ['Requires: bash', 'Requires: busybox'],
        files: { 'usr/bin/dracut': DRACUT },
        modes: { 'usr/bin/dracut': 0o755 },
      },
    ];
  }

  #programs(): readonly TestRpm[] {
    const shared = new Set<string>();
    for (const programs of Object.values(PROGRAMS))
      for (const library of programs.flatMap(librariesOf)) shared.add(library);
    const glibc = join(this.#dir, 'glibc');
    for (const library of shared) copyInto(library, glibc);
    const made = Object.entries(PROGRAMS).map(([debian, programs]): TestRpm => {
      const name = RENAMED[debian] ?? debian;
      const tree = join(this.#dir, name);
      for (const program of programs.filter((p) => !/\/dpkg|ldconfig|start-stop/.test(p)))
        copyInto(program, tree);
      for (const file of DATA[debian] ?? []) if (existsSync(file)) copyInto(file, tree);
      const shell = name === 'bash';
      return {
        ...{ name, tree, arch: 'x86_64' },
        tags: shell
          ? ['Provides: /bin/sh', 'Requires: glibc', 'Requires: busybox']
          : ['Requires: bash'],
      };
    });
    const stub = join(this.#dir, 'stub');
    copyInto(STUB, stub);
    return [
      { name: 'glibc', arch: 'x86_64', tree: glibc, tags: ['Requires: filesystem'] },
      ...made,
      { name: 'systemd-boot', arch: 'x86_64', tree: stub, tags: ['Requires: filesystem'] },
      { name: 'systemd', tags: ['Requires: bash'], beside: EMPTY },
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.repo[Symbol.asyncDispose]();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** Writes `os.yml` and the file that it names into a world. */
export function writeRpmDiskTemplate(world: Rig, tiny: RpmDiskRepo, wishes: Wishes = {}): void {
  const { cmdline = 'quiet', packages = '', password = HASH } = wishes;
  const { hostname = 'tinybox', command = 'echo made > /etc/made', user = 'locked' } = wishes;
  world.write('motd', 'hello\n');
  world.write(
    'os.yml',
    `image: {name: tiny, version: 1.0.0}
target: {os: azure-linux, dist: azl3, arch: x86_64, imageType: raw}
packageRepositories:
  - {codename: azl3, url: "${tiny.repo.uri}", pkey: "${tiny.repo.key()}"}
disk:
  name: tiny
  partitions:
    - {id: boot, type: esp, fsType: fat32, start: 1MiB, end: 17MiB, mountPoint: /boot/efi}
    - {id: rootfs, fsType: ext4, start: 17MiB, end: "0", mountPoint: /}
systemConfig:
  hostname: ${hostname}
  packages: [${packages}]
  kernel: {cmdline: ${cmdline}}
  users:
    - {name: ops, password: "${password}", groups: [users]}
    - {name: ${user}}
  additionalFiles: [{local: motd, final: /etc/motd}]
  configurations: [{cmd: "${command}"}]
`,
  );
}
