import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DebianRepo } from './debian-repo.ts';

/** Whose libraries are in their own package: others do not need them. */
const OWN_LIBRARIES: ReadonlySet<string> = new Set([
  'qemu-utils',
  'cryptsetup-bin',
  'sbsigntool',
  'xorriso',
]);

/** Programs of this machine that the tiny distributions are made of, by package. */
export const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  'tiny-base': [
    ...[
      '/usr/bin/dpkg',
      '/usr/bin/dpkg-deb',
      '/usr/bin/dpkg-split',
      '/usr/bin/tar',
      '/usr/bin/bash',
    ],
    ...[
      '/usr/bin/stat',
      '/usr/bin/find',
      '/usr/bin/sort',
      '/usr/bin/getent',
      '/usr/bin/id',
      '/usr/bin/truncate',
    ],
    ...[
      '/usr/bin/dd',
      '/usr/bin/touch',
      '/usr/bin/cp',
      '/usr/bin/tail',
      '/usr/sbin/ldconfig',
      '/usr/sbin/start-stop-daemon',
    ],
  ],
  passwd: [
    '/usr/sbin/useradd',
    '/usr/sbin/groupadd',
    '/usr/sbin/usermod',
    '/usr/bin/passwd',
    '/usr/bin/chage',
  ],
  binutils: ['/usr/bin/objcopy'],
  dosfstools: ['/usr/sbin/mkfs.vfat'],
  e2fsprogs: ['/usr/sbin/mke2fs', '/usr/sbin/debugfs', '/usr/sbin/dumpe2fs', '/usr/sbin/e2fsck'],
  fdisk: ['/usr/sbin/sfdisk'],
  'squashfs-tools': ['/usr/bin/mksquashfs'],
  mtools: ['/usr/bin/mtools', '/usr/bin/mmd', '/usr/bin/mcopy'],
  'qemu-utils': ['/usr/bin/qemu-img'],
  gzip: ['/usr/bin/gzip'],
  zstd: ['/usr/bin/zstd'],
  'xz-utils': ['/usr/bin/xz'],
  bzip2: ['/usr/bin/bzip2'],
  'cryptsetup-bin': ['/usr/sbin/veritysetup'],
  sbsigntool: ['/usr/bin/sbsign', '/usr/bin/sbverify'],
  faketime: ['/usr/bin/faketime'],
  xorriso: ['/usr/bin/xorriso'],
};

/** systemd's stub for unified kernel images. */
export const STUB = '/usr/lib/systemd/boot/efi/linuxx64.efi.stub';

/** Why disks cannot be made of this machine's programs; false when they can. */
export const needsDiskTools: string | false =
  process.getuid?.() !== 0
    ? 'needs root (runs steps)'
    : ([...Object.values(PROGRAMS).flat(), STUB, '/bin/busybox']
        .find((p) => !existsSync(p))
        ?.replace(/^/, 'not installed: ') ?? false);

const GCONV = '/usr/lib/x86_64-linux-gnu/gconv';

/** Files that programs read: the code page of FAT names. */
export const DATA: Readonly<Record<string, readonly string[]>> = {
  e2fsprogs: ['/etc/mke2fs.conf'],
  'squashfs-tools': ['/lib/x86_64-linux-gnu/libgcc_s.so.1'],
  faketime: ['/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1'],
  mtools: [
    'IBM850.so',
    'gconv-modules',
    'gconv-modules.cache',
    'gconv-modules.d/gconv-modules-extra.conf',
  ].map((name) => `${GCONV}/${name}`),
};

/** Packages that need only be there. */
const EMPTY = ['systemd-sysv', 'udev', 'dbus', 'login', 'kmod', 'iproute2', 'util-linux'];
const TOOLS = ['erofs-utils', 'ovmf', 'qemu-system-x86'];

/**
 * A distribution of a dozen packages in which the stages of a disk can run: this machine's own dpkg, shell and tools, a
 * kernel and an initramfs that are only bytes.
 */
export class DiskRepo implements AsyncDisposable {
  readonly repo: DebianRepo;
  readonly #dir = mkdtempSync(join(tmpdir(), 'varve-disk-repo-'));

  private constructor(repo: DebianRepo) {
    this.repo = repo;
  }

  static async start(): Promise<DiskRepo> {
    const made = new DiskRepo(await DebianRepo.start());
    made.#publish();
    return made;
  }

  #publish(): void {
    const shared = new Set<string>();
    for (const [name, programs] of Object.entries(PROGRAMS))
      if (!OWN_LIBRARIES.has(name))
        for (const library of programs.flatMap(librariesOf)) shared.add(library);
    for (const [name, programs] of Object.entries(PROGRAMS)) {
      const tree = join(this.#dir, name);
      for (const program of programs) copyInto(program, tree);
      const base = name === 'tiny-base';
      if (base) for (const library of shared) copyInto(library, tree);
      if (base) baseFiles(tree);
      for (const file of DATA[name] ?? []) if (existsSync(file)) copyInto(file, tree);
      if (OWN_LIBRARIES.has(name))
        for (const library of programs.flatMap(librariesOf))
          if (!shared.has(library)) copyInto(library, tree);
      this.repo.add({
        ...{ name, tree, compression: 'none' },
        fields: base ? { Essential: 'yes' } : {},
      });
    }
    for (const name of [...EMPTY, ...TOOLS]) this.repo.add({ name });
    this.repo.add(
      {
        name: 'initramfs-tools',
        files: {
          'usr/sbin/update-initramfs':
            '#!/bin/sh\n{ echo initramfs of "$3"; cat /etc/initramfs-tools/* /usr/share/initramfs-tools/hooks/* 2>/dev/null || :; } > "/boot/initrd.img-$3"\n',
        },
        modes: { 'usr/sbin/update-initramfs': 0o755 },
      },
      { name: 'linux-image-cloud-amd64', files: { 'boot/vmlinuz-6.1-tiny': 'kernel\n' } },
      { name: 'linux-image-amd64', files: { 'boot/vmlinuz-6.1-tiny': 'kernel for all\n' } },
      { name: 'hooked', files: { 'usr/share/initramfs-tools/hooks/hooked': 'a hook\n' } },
      { name: 'extra', files: { 'usr/share/extra': 'more\n' } },
    );
    const stub = join(this.#dir, 'stub');
    copyInto(STUB, stub);
    this.repo.add({ name: 'systemd-boot-efi', tree: stub, compression: 'none' });
    this.repo.publish('bookworm');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.repo[Symbol.asyncDispose]();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** Where a merged /usr has it. */
const usr = (path: string): string => path.replace(/^\/(bin|sbin|lib|lib64)\//, '/usr/$1/');

/** Copies a file into a tree, where a merged /usr has it; once. */
export function copyInto(path: string, tree: string): void {
  const to = join(tree, usr(path));
  if (existsSync(to)) return;
  mkdirSync(dirname(to), { recursive: true });
  cpSync(realpathSync(path), to);
}

/** The libraries that the loader names for a program. */
export function librariesOf(program: string): readonly string[] {
  const listed = execFileSync('ldd', [program], { encoding: 'utf8' });
  return [...listed.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(([, library]) => library ?? '');
}

const APPLETS =
  'rm awk sed cat mkdir ls basename head grep wc seq printf mv ln diff sleep chmod tr od cut true uname env dirname mktemp chown expr test [ echo rmdir install readlink sync date xargs';

/** A shell's tools, accounts and directories. */
export function baseFiles(tree: string): void {
  copyInto('/bin/busybox', tree);
  for (const name of APPLETS.split(' ')) {
    const at = join(tree, 'usr/bin', name);
    if (!existsSync(at)) execFileSync('ln', ['-s', 'busybox', at]);
  }
  // busybox as the shell would run its own applets instead of the programs.
  execFileSync('ln', ['-s', 'bash', join(tree, 'usr/bin/sh')]);
  const files: Readonly<Record<string, string>> = {
    'etc/passwd': 'root:x:0:0:root:/root:/bin/bash\n',
    'etc/group': 'root:x:0:\nusers:x:100:\n',
    'etc/shadow': 'root:*:19000:0:99999:7:::\n',
    'etc/gshadow': 'root:*::\nusers:*::\n',
    'etc/nsswitch.conf': 'passwd: files\ngroup: files\nshadow: files\n',
    'etc/login.defs':
      'UID_MIN 1000\nUID_MAX 60000\nGID_MIN 1000\nGID_MAX 60000\nUSERGROUPS_ENAB yes\n',
    'usr/lib/os-release': 'ID=tiny\n',
  };
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    execFileSync('tee', [join(tree, path)], { input: text, stdio: ['pipe', 'ignore', 'inherit'] });
  }
  for (const dir of [
    'tmp',
    'root',
    'proc',
    'sys',
    'dev',
    'run',
    'var/tmp',
    'var/log',
    'home',
    'boot',
  ])
    mkdirSync(join(tree, dir), { recursive: true });
}
