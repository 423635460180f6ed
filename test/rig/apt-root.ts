import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { TestPackage } from './debian-repo.ts';

/** Programs of this machine that make up a system with apt. */
const PROGRAMS = [
  ...['/usr/bin/apt-get', '/usr/bin/dpkg', '/usr/bin/dpkg-deb', '/usr/bin/dpkg-split'],
  ...['/usr/bin/tar', '/usr/lib/apt/methods/copy', '/usr/lib/apt/methods/file'],
  ...['/usr/lib/apt/methods/store', '/sbin/ldconfig', '/sbin/start-stop-daemon'],
];

/** Why there can be no such system here; false when there can. */
export const needsAptRoot: string | false =
  [...PROGRAMS, '/usr/bin/apt-ftparchive', '/usr/bin/ldd'].every((path) => existsSync(path)) &&
  existsSync('/bin/busybox')
    ? false
    : 'needs apt, dpkg, apt-utils and busybox-static';

/** What images of Debian say so that packages do not stay in them. */
const DOCKER_CLEAN = `DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true"; };
APT::Update::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true"; };

Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
`;

/**
 * Fills a directory with a small system that has the apt and dpkg of this machine, an empty package database, and a
 * repository of its own; with `docker-clean`, as images of Debian have it.
 */
export function aptRoot(
  root: string,
  packages: readonly TestPackage[],
  { dockerClean }: { readonly dockerClean: boolean },
): void {
  const write = (path: string, text: string, mode = 0o644): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
    chmodSync(join(root, path), mode);
  };
  for (const path of [...PROGRAMS, ...librariesOf(PROGRAMS)]) copy(path, root);
  cpSync('/usr/share/dpkg', join(root, 'usr/share/dpkg'), { recursive: true });
  copyFileSync('/bin/busybox', join(root, 'usr/bin/busybox'));
  for (const name of ['sh', 'rm', 'cat', 'mkdir', 'cp', 'ls', 'grep', 'wc', 'gzip', 'diff'])
    symlinkSync('busybox', join(root, 'usr/bin', name));
  for (const [link, target] of [
    ['bin', 'usr/bin'],
    ['sbin', 'usr/sbin'],
  ] as const)
    symlinkSync(target, join(root, link));
  for (const empty of ['var/lib/dpkg/info', 'var/lib/dpkg/updates', 'var/lib/apt/lists', 'tmp'])
    mkdirSync(join(root, empty), { recursive: true });
  for (const dir of ['var/cache/apt/archives', 'var/log/apt', 'etc/apt/preferences.d'])
    mkdirSync(join(root, dir), { recursive: true });
  mkdirSync(join(root, 'var/cache/apt/archives/partial'), { mode: 0o700 });
  write('var/cache/apt/archives/lock', '', 0o640);
  write('var/lib/dpkg/status', '');
  write('var/lib/dpkg/available', '');
  write('etc/passwd', 'root:x:0:0::/root:/bin/sh\n');
  write('etc/group', 'root:x:0:\n');
  write('etc/apt/sources.list', 'deb [trusted=yes] copy:/repo ./\n');
  write('etc/apt/apt.conf.d/00user', 'APT::Sandbox::User "root";\n');
  if (dockerClean) write('etc/apt/apt.conf.d/docker-clean', DOCKER_CLEAN);
  mkdirSync(join(root, 'repo'));
  for (const each of packages) buildPackage(each, join(root, 'repo'));
  write(
    'repo/Packages',
    execFileSync('apt-ftparchive', ['packages', '.'], { cwd: join(root, 'repo') }).toString(),
  );
}

/** Copies a program to where it lies here, past the links of a merged /usr. */
function copy(path: string, root: string): void {
  const at = join(
    root,
    path.replace(/^\/(s?bin|lib)\//, '/usr/$1/').replace(/^\/lib64\//, '/lib64/'),
  );
  mkdirSync(dirname(at), { recursive: true });
  copyFileSync(path, at);
  chmodSync(at, 0o755);
}

function librariesOf(programs: readonly string[]): ReadonlySet<string> {
  const listed = execFileSync('ldd', [...programs], { stdio: ['ignore', 'pipe', 'ignore'] });
  return new Set(
    [...listed.toString().matchAll(/(?:=> )?(\/\S+\.so\S*) \(0x/g)].map(([, path = '']) => path),
  );
}

function buildPackage(
  { name, version = '1.0', fields = {}, files = {}, modes = {} }: TestPackage,
  repo: string,
): void {
  const tree = join(repo, `.${name}`);
  const control = {
    Package: name,
    Version: version,
    Architecture: 'amd64',
    Maintainer: 'Nobody <n@example.org>',
    Description: name,
    ...fields,
  };
  mkdirSync(join(tree, 'DEBIAN'), { recursive: true });
  writeFileSync(
    join(tree, 'DEBIAN/control'),
    Object.entries(control)
      .map(([key, value]) => `${key}: ${value}\n`)
      .join(''),
  );
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), content, { mode: modes[path] ?? 0o644 });
  }
  execFileSync(
    'dpkg-deb',
    ['--root-owner-group', '-Znone', '--build', tree, join(repo, `${name}.deb`)],
    { stdio: 'ignore' },
  );
  execFileSync('rm', ['-r', tree]);
}
