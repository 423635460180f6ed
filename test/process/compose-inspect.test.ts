import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { DiskRepo, needsDiskTools } from '../rig/disk-repo.ts';
import { writeDiskTemplate } from '../rig/disk-template.ts';
import { Rig } from '../rig/rig.ts';

const skip = { skip: needsDiskTools };
let tiny: DiskRepo | undefined;
let rig: Rig;

before(async () => {
  rig = new Rig();
  if (needsDiskTools !== false) return;
  tiny = await DiskRepo.start();
  for (const [name, wishes] of Object.entries({
    a: {},
    b: { packages: 'extra', cmdline: 'debug', hostname: 'other' },
  })) {
    writeDiskTemplate(rig, tiny, wishes);
    rig.write(`${name}.yml`, readFileSync(join(rig.work, 'os.yml')));
    const run = await rig.varve([
      ...['compose', `${name}.yml`, '-o', `type=raw,dest=${name}.img`, '--lock', `${name}.lock`],
      ...(name === 'a'
        ? ['-o', 'type=qcow2,dest=a.qcow2', '--spdx', 'a.spdx', '--html', 'a.html']
        : []),
    ]);
    assert.equal(run.status, 0, run.stderr);
  }
});
after(async () => {
  await tiny?.[Symbol.asyncDispose]();
  await rig[Symbol.asyncDispose]();
});

interface Printed {
  readonly [key: string]: unknown;
  readonly packages: readonly { readonly name: string; readonly version: string }[];
  readonly files?: readonly { readonly path: string }[];
  readonly users: readonly { readonly name: string; readonly locked: boolean }[];
  readonly programs: readonly Readonly<Record<string, unknown>>[];
}

const json = async (...args: readonly string[]): Promise<unknown> => {
  const run = await rig.varve(['compose', ...args, '--json']);
  assert.equal(run.status, 0, run.stderr);
  return JSON.parse(run.stdout);
};

test(
  'the packages of a disk are drawn on a page, and those that a template would have',
  skip,
  async () => {
    const resolved = await rig.varve(['compose', 'resolve', 'a.yml', '--html', 'chosen.html']);
    assert.equal(resolved.status, 0, resolved.stderr);
    const page = (name: string): readonly unknown[] => {
      const text = readFileSync(join(rig.work, name), 'utf8');
      return [
        /<h1>(.*?)<\/h1>/.exec(text)?.[1],
        text.match(/<svg /g)?.length,
        text.match(/>tiny-base</g)?.length,
      ];
    };
    assert.deepEqual(page('a.html'), ['Packages of tiny 1.0.0', 2, 4]);
    assert.deepEqual(page('chosen.html'), ['Packages of a.yml (debian bookworm)', 2, 4]);
  },
);

test('a disk says what is on it, from its partitions to its packages', skip, async () => {
  // The shape is what the assertions below check.
  const report = (await json('inspect', 'a.img', '--files')) as Printed;
  const [program] = report.programs;
  assert.deepEqual(
    {
      format: report['format'],
      system: report['system'],
      hostname: report['hostname'],
      users: report.users.map((u) => [u.name, u.locked]),
      program: [program?.['path'], program?.['signed'], program?.['system']],
      arguments: /^root=PARTUUID=\S+ rootfstype=ext4 rw quiet$/.test(
        String(program?.['commandLine']),
      ),
      packages: report.packages.some((p) => p.name === 'tiny-base' && p.version === '1.0'),
      files: ['/etc/motd', '/etc/hostname', 'boot:/EFI/BOOT/BOOTX64.EFI'].map((path) =>
        report.files?.some((f) => f.path === path),
      ),
    },
    {
      format: 'raw',
      system: { ID: 'tiny' },
      hostname: 'tinybox',
      users: [
        ['root', true],
        ['ops', false],
        ['locked', true],
      ],
      program: ['boot:/EFI/BOOT/BOOTX64.EFI', false, { ID: 'tiny' }],
      arguments: true,
      packages: true,
      files: [true, true, true],
    },
  );
  const text = await rig.varve(['compose', 'inspect', 'a.img', '--spdx', 'read.spdx']);
  assert.deepEqual(
    [
      text.status,
      /^host name: tinybox$/m.test(text.stdout),
      /^ {2}tiny-base 1\.0$/m.test(text.stdout),
    ],
    [0, true, true],
  );
  const names = (file: string): readonly string[] =>
    [...readFileSync(join(rig.work, file), 'utf8').matchAll(/"name":"([^"]+)","versionInfo"/g)]
      .map(([, name]) => name ?? '')
      .slice(1);
  assert.deepEqual(names('read.spdx'), names('a.spdx'));
});

test(
  'two disks differ in what their templates differ in, and a converted one does not',
  skip,
  async () => {
    const same = await rig.varve(['compose', 'compare', 'a.img', 'a.qcow2', '--exit-code']);
    assert.deepEqual([same.status, same.stdout], [0, 'the two disks do not differ\n']);
    interface Found {
      readonly equal: boolean;
      readonly packages: unknown;
      readonly facts: readonly { readonly name: string }[];
      readonly files: readonly { readonly name: string }[];
    }
    // As above.
    const found = (await json('compare', 'a.img', 'b.img')) as Found;
    assert.deepEqual(
      {
        equal: found.equal,
        packages: found.packages,
        facts: found.facts.map((f) => f.name).filter((name) => !/size/.test(name)),
        files: found.files.map((f) => f.name).filter((name) => !name.startsWith('/var/')),
      },
      {
        equal: false,
        packages: [{ name: 'extra', to: '1.0' }],
        facts: [
          'boot:/EFI/BOOT/BOOTX64.EFI .cmdline',
          'boot:/EFI/BOOT/BOOTX64.EFI arguments',
          'host name',
        ],
        files: [
          '/etc/hostname',
          '/etc/hosts',
          '/usr/share',
          '/usr/share/extra',
          'boot:/EFI/BOOT/BOOTX64.EFI',
        ],
      },
    );
    const differs = await rig.varve(['compose', 'compare', 'a.img', 'b.img', '--exit-code']);
    assert.equal(differs.status, 1);
  },
);

test('two templates, and two locks, are compared value by value', skip, async () => {
  assert.deepEqual(await json('compare', 'a.yml', 'b.yml'), {
    kind: 'template',
    equal: false,
    facts: [
      { name: 'systemConfig.hostname', from: '"tinybox"', to: '"other"' },
      { name: 'systemConfig.kernel.cmdline', from: '"quiet"', to: '"debug"' },
    ],
    packages: [{ name: 'extra', to: 'any version' }],
    files: [],
  });
  const locks = (await json('compare', 'a.lock', 'b.lock')) as Printed;
  assert.deepEqual(
    locks.packages.filter((p) => !p.name.startsWith('convert: ')),
    [{ name: 'extra', to: '1.0' }],
  );
  const mixed = await rig.varve(['compose', 'compare', 'a.img', 'a.yml']);
  assert.deepEqual(
    [mixed.status, mixed.stderr.split('\n')[0]],
    [2, 'error[CL002]: a.img is a disk, and a.yml a template'],
  );
});
