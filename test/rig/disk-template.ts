import assert from 'node:assert/strict';
import type { DiskRepo } from './disk-repo.ts';
import type { Rig, Run } from './rig.ts';

/** A hashed password. */
export const HASH =
  '$6$saltsaltsalt$K0lkYKJqJqHvjjkkyVLTgVfxGUeR3Ru5bCx1SBbnBwTvYcRymFwVVt1Yk8xyOfYhnaCwrKuIQ9S';

/** What a template says that tests change. */
export interface Wishes {
  readonly cmdline?: string;
  readonly packages?: string;
  readonly password?: string;
  readonly hostname?: string;
  readonly command?: string;
  readonly user?: string;
  readonly imageType?: string;
  /** Lines of `disk`. */
  readonly partitions?: string;
  /** Lines of `systemConfig`. */
  readonly system?: string;
}

const PARTITIONS = `    - {id: boot, type: esp, fsType: fat32, start: 1MiB, end: 17MiB, mountPoint: /boot/efi}
    - {id: rootfs, fsType: ext4, start: 17MiB, end: "0", mountPoint: /}
`;

/** Writes `os.yml` and the file that it names into a world. */
export function writeDiskTemplate(
  world: Pick<Rig, 'write'>,
  tiny: DiskRepo,
  wishes: Wishes = {},
): void {
  const { cmdline = 'quiet', packages = '', password = HASH } = wishes;
  const { hostname = 'tinybox', command = 'echo made > /etc/made', user = 'locked' } = wishes;
  const { imageType = 'raw', system = '', partitions = PARTITIONS } = wishes;
  world.write('motd', 'hello\n');
  world.write(
    'os.yml',
    `image: {name: tiny, version: 1.0.0}
target: {os: debian, dist: debian12, arch: x86_64, imageType: ${imageType}}
packageRepositories:
  - {codename: bookworm, url: "${tiny.repo.uri}", pkey: "${tiny.repo.keyring()}", component: main}
disk:
  name: tiny
  partitions:
${partitions}systemConfig:
${system}  hostname: ${hostname}
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

/** The stages that a run executed, in no order: those that were not found. */
export function executed(run: Run): readonly string[] {
  assert.equal(run.status, 0, run.stderr);
  const names = new Map<string, string>();
  for (const [, n = '', name = ''] of run.stderr.matchAll(
    /^#(\d+) \[([\w-]+) (?:\d+\/\d+)?\s*\]?/gm,
  ))
    names.set(n, name);
  const cached = new Set([...run.stderr.matchAll(/^#(\d+) CACHED/gm)].map(([, n]) => n));
  return [...new Set([...names].filter(([n]) => !cached.has(n)).map(([, name]) => name))]
    .filter((name) => name !== 'internal' && name !== 'context')
    .sort();
}
