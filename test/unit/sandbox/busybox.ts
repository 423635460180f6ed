import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SandboxSpec } from '../../../src/ports/index.ts';

const BUSYBOX = ['/bin/busybox', '/usr/bin/busybox'].find((path) => existsSync(path));
const APPLETS = [
  'cat chmod chown chroot cp cut date df dmesg echo env false find getopt grep hostname id ifconfig ip kill ln ls mkdir',
  'mknod mount mv nc ps pwd readlink rm sed seq sh sleep sort stat sync tail test touch tr true umount uname unshare wc yes',
].flatMap((line) => line.split(' '));

/** Option for `test()`: containers need root, an OCI runtime and a static busybox. */
export const needsContainers: { readonly skip?: string } =
  process.getuid?.() !== 0
    ? { skip: 'not root' }
    : BUSYBOX === undefined
      ? { skip: 'no static busybox' }
      : runs('runc')
        ? {}
        : { skip: 'no runc' };

function runs(program: string): boolean {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Makes a small root file system at `dir`: busybox, `/etc/passwd`, `/etc/group`, and the usual empty directories. */
export function makeRootfs(dir: string): string {
  for (const name of ['bin', 'dev', 'etc', 'proc', 'sys', 'root', 'run', 'tmp'])
    mkdirSync(join(dir, name), { recursive: true });
  copyFileSync(BUSYBOX ?? '', join(dir, 'bin/busybox'));
  for (const applet of APPLETS) symlinkSync('busybox', join(dir, 'bin', applet));
  writeFileSync(
    join(dir, 'etc/passwd'),
    'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n',
  );
  writeFileSync(join(dir, 'etc/group'), 'root:x:0:\napp:x:1000:\nstaff:x:50:app\n');
  return dir;
}

/** A step that runs `script` in a shell as root. */
export function shellSpec(rootfs: string, id: string, script: string): SandboxSpec {
  return {
    id,
    rootfs,
    args: ['/bin/sh', '-c', script],
    env: ['PATH=/bin'],
    cwd: '/',
    user: { uid: 0, gid: 0, additionalGids: [] },
    hostname: 'buildkitsandbox',
    network: 'default',
    security: 'sandbox',
    mounts: [],
    extraHosts: [],
    ulimits: [],
    removeMountStubs: false,
  };
}
