import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { renderFailure } from '../../src/base/index.ts';
import { createWorkLocks } from '../../src/cachedb/index.ts';
import { createPackageStore } from '../../src/packages/index.ts';
import { parseTemplate } from '../../src/template/index.ts';
import { note } from '../rig/golden.ts';

const codename = existsSync('/etc/os-release')
  ? /^VERSION_CODENAME=(\S+)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1]
  : undefined;
const needsApt: { readonly skip?: string } =
  existsSync('/usr/bin/apt-get') && codename !== undefined
    ? {}
    : { skip: 'this machine has no apt' };

/** Sets that differ in kind: small, with alternatives, with providers and conflicts, large, with Recommends. */
const SETS: readonly { readonly packages: readonly string[]; readonly recommends: boolean }[] = [
  { packages: ['apt'], recommends: false },
  { packages: ['python3-minimal'], recommends: false },
  { packages: ['systemd-sysv', 'udev', 'dbus', 'openssh-server'], recommends: false },
  { packages: ['build-essential', 'git', 'curl'], recommends: false },
  { packages: ['build-essential', 'python3-pip'], recommends: true },
  { packages: ['postgresql', 'nginx', 'default-jdk'], recommends: true },
  { packages: ['gnome'], recommends: false },
  { packages: ['gnome'], recommends: true },
];

test(
  'sets of packages are chosen exactly as apt chooses them for an empty system',
  needsApt,
  async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'varve-apt-'));
    const store = createPackageStore({
      root: join(dir, 'packages'),
      clock: { now: () => Date.now() },
      locks: createWorkLocks(join(dir, 'locks')),
      hostRoot: '/',
      onDamage: () => undefined,
    });
    try {
      const apt = privateApt(dir);
      if (apt === undefined) {
        t.skip('the mirror cannot be reached');
        return;
      }
      const architecture = execFileSync('dpkg', ['--print-architecture']).toString().trim();
      const differing: string[] = [];
      const sizes: number[] = [];
      for (const { packages, recommends } of SETS) {
        // apt counts itself among the essential packages.
        const text = `suite: ${codename ?? ''}\nvariant: apt\npackages: [${packages.join(', ')}]\nrecommends: ${recommends}\n`;
        const template = parseTemplate({ path: 'os.yml', text });
        assert.ok(template.ok);
        const options = { architecture, refresh: 'auto', warn: () => undefined } as const;
        const signal = new AbortController().signal;
        const lock = await store.resolve(template.value, { ...options, signal });
        assert.ok(lock.ok, lock.ok ? '' : renderFailure(lock.error));
        const ours = new Set(lock.value.packages.map((p) => `${p.name}=${p.version}`));
        const theirs = new Set(apt(packages, recommends));
        sizes.push(theirs.size);
        for (const p of ours)
          if (!theirs.has(p)) differing.push(`${packages.join(' ')}: only ours ${p}`);
        for (const p of theirs)
          if (!ours.has(p)) differing.push(`${packages.join(' ')}: only apt's ${p}`);
      }
      assert.deepEqual(differing, []);
      assert.ok(sizes.every((size) => size > 50));
      note(`apt: ${SETS.length} of ${SETS.length} sets equal (${sizes.join(', ')} packages)`);
    } finally {
      await store[Symbol.asyncDispose]();
      rmSync(dir, { recursive: true, force: true });
    }
  },
);

/** apt-get on lists and a package database of its own, the latter empty; undefined when it cannot update. */
function privateApt(
  dir: string,
): ((packages: readonly string[], recommends: boolean) => string[]) | undefined {
  const state = join(dir, 'apt');
  for (const sub of ['lists/partial', 'cache/archives/partial'])
    mkdirSync(join(state, sub), { recursive: true });
  writeFileSync(join(state, 'status'), '');
  const settings = {
    'Dir::State': state,
    'Dir::State::status': join(state, 'status'),
    'Dir::State::lists': join(state, 'lists'),
    'Dir::Cache': join(state, 'cache'),
    'Dir::Cache::pkgcache': 'pkg.bin',
    'Dir::Cache::srcpkgcache': 'src.bin',
    'Debug::NoLocking': '1',
    'APT::Sandbox::User': 'root',
    'Acquire::GzipIndexes': 'false',
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  const run = (args: readonly string[]) =>
    spawnSync('apt-get', [...flags, ...args], { encoding: 'utf8', maxBuffer: 1 << 26 });
  const updated = run(['update']);
  if (updated.status !== 0 || /^(?:W|Err)/m.test(`${updated.stderr}${updated.stdout}`))
    return undefined;
  return (packages, recommends) => {
    const choice = recommends ? '--install-recommends' : '--no-install-recommends';
    const said = run([choice, '-s', '-y', 'install', '?essential', 'usr-is-merged', ...packages]);
    return [...said.stdout.matchAll(/^Inst (\S+) \((\S+) /gm)].map(
      ([, name = '', version = '']) => `${name}=${version}`,
    );
  };
}
