import { deepEqual, equal, match } from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { tarOf } from '../conformance/tar-rig.ts';
import { note } from '../rig/golden.ts';
import { startRegistry } from '../rig/registry.ts';
import { BUSYBOX, needsSteps, Rig, type Run, type RunOptions } from '../rig/rig.ts';

/** Why the program cannot be run as an ordinary user here; false when it can. */
const skip: string | false =
  needsSteps !== false
    ? needsSteps
    : !existsSync('/usr/bin/newuidmap')
      ? 'needs newuidmap (package uidmap)'
      : spawnSync('test', ['-r', import.meta.filename], { uid: 65534, gid: 65534 }).status !== 0
        ? 'the sources lie where another user may not read'
        : false;

const NAME = `varve-t${process.pid}`;
const user = { uid: -1, gid: -1 };

before(() => {
  if (skip !== false) return;
  execFileSync('useradd', ['--no-create-home', NAME]);
  const [, , uid, gid] = execFileSync('getent', ['passwd', NAME], { encoding: 'utf8' }).split(':');
  Object.assign(user, { uid: Number(uid), gid: Number(gid) });
});
after(() => {
  if (skip === false) execFileSync('userdel', [NAME]);
});

/** A world that is the user's, with a program that runs as the user. */
class UserRig extends Rig {
  override async varve(args: readonly string[], options: RunOptions = {}): Promise<Run> {
    this.giveTo(user);
    return await super.varve(args, { ...options, as: user });
  }
}

const DOCKERFILE = `${BUSYBOX}RUN mkdir -p /gone /kept /app && echo 1 > /gone/f && echo 2 > /kept/f && chown 1000:50 /app
RUN rm -r /gone && rm -r /kept && mkdir /kept && echo 3 > /kept/g && chmod 4755 /app && ln /kept/g /app/g
COPY --chown=33:33 file /srv/
RUN --network=none --mount=type=cache,target=/c --mount=type=tmpfs,target=/t --mount=type=secret,id=s \\
    ip link | grep -c : >/links; cat /run/secrets/s >/dev/null; touch /c/x /t/x; rm /links
USER 1000:50
RUN id -u && echo mine > /app/mine
`;

const EPOCH = { SOURCE_DATE_EPOCH: '1700000000', S: 'word' };
const COMMON = ['build', 'ctx', '--progress', 'plain', '--secret', 'id=s,env=S'];

function world(rig: Rig): void {
  rig.context('ctx', { Dockerfile: DOCKERFILE, file: 'data' });
}

test('an ordinary user’s build has the digest of root’s, its cache serves both, and nothing is left', {
  skip,
}, async () => {
  await using root = new Rig();
  await using mine = new UserRig();
  world(root);
  world(mine);
  const out = ['-o', 'type=oci,dest=image.tar,rewrite-timestamp=true'];
  const one = await root.varve([...COMMON, ...out], { env: EPOCH });
  equal(one.status, 0, one.stderr);
  const two = await mine.varve([...COMMON, ...out, '--cache-to', 'type=local,dest=cache'], {
    env: EPOCH,
  });
  equal(two.status, 0, two.stderr);
  const bytes = (rig: Rig): Buffer => readFileSync(join(rig.work, 'image.tar'));
  equal(bytes(root).equals(bytes(mine)), true, 'the archives differ');
  const steps = (run: Run): readonly string[] => run.stderr.match(/^#\d+ CACHED$/gm) ?? [];
  const third = await mine.varve(COMMON, { env: EPOCH });
  equal(steps(third).length, 7, third.stderr);
  await using other = new Rig();
  world(other);
  const imported = await other.varve(
    [...COMMON, '--cache-from', `type=local,src=${join(mine.work, 'cache')}`],
    { env: EPOCH },
  );
  equal(steps(imported).length, 7, imported.stderr);
  equal(readFileSync('/proc/self/mountinfo', 'utf8').includes(mine.root), false);
  deepEqual(readdirSync(join(mine.store, 'snapshots/work')), []);
  deepEqual(readdirSync(join(mine.store, 'run/owners')), []);
});

test('an ordinary user exports files as his own, pushes, pulls and reads archives', {
  skip,
}, async () => {
  await using rig = new UserRig();
  await using registry = await startRegistry();
  world(rig);
  const local = await rig.varve(
    [...COMMON, '-o', 'type=local,dest=out', '-t', `${registry.host}/me/app`, '--push'],
    { env: EPOCH },
  );
  equal(local.status, 0, local.stderr);
  const file = statSync(join(rig.work, 'out/app/mine'));
  equal(readFileSync(join(rig.work, 'out/app/mine'), 'utf8'), 'mine\n');
  equal(file.uid >= 0, true);
  await using second = new UserRig();
  second.write(
    'ctx/Dockerfile',
    `FROM ${registry.host}/me/app\nUSER 0\nRUN stat -c %u:%g:%a /app >/owner; cat /owner\n`,
  );
  const based = await second.varve(['build', 'ctx', '--progress', 'plain']);
  equal(based.status, 0, based.stderr);
  match(based.stderr, /1000:50:4755/);
  const saved = await second.varve(['image', 'pull', `${registry.host}/me/app`, '-q']);
  equal(saved.status, 0, saved.stderr);
  const archive = await second.varve(['image', 'save', `${registry.host}/me/app`, '-o', 'a.tar']);
  equal(archive.status, 0, archive.stderr);
  const loaded = await rig.varve([
    'image',
    'load',
    '-i',
    join(second.work, 'a.tar'),
    '-t',
    'again',
  ]);
  equal(loaded.status, 0, loaded.stderr);
});

test('what cannot work without root is refused with the reason', { skip }, async () => {
  await using rig = new UserRig();
  const cases: [name: string, dockerfile: string, args: string[], expected: RegExp][] = [
    [
      'memory limit',
      `${BUSYBOX}RUN true\n`,
      ['--memory', '64m'],
      /error\[SB012\]: steps cannot be limited here in memory[^]*control groups belong to root/,
    ],
    [
      'an id outside the range where a step needs the file',
      `${BUSYBOX}COPY --chown=70000 busybox /x\nRUN true\n`,
      [],
      /error\[ST302\]: extracting layer entry "x": EINVAL \(f?l?chown\)/,
    ],
    [
      'device nodes where a step needs them',
      `${BUSYBOX}ADD dev.tar /\nRUN true\n`,
      [],
      /error\[ST302\]: extracting layer entry "null": EPERM \(mknod\)/,
    ],
  ];
  rig.context('ctx', {});
  rig.write('ctx/dev.tar', tarOf([{ name: 'null', type: 'char', device: { major: 1, minor: 3 } }]));
  const wrong: string[] = [];
  for (const [name, dockerfile, args, expected] of cases) {
    rig.write('ctx/Dockerfile', dockerfile);
    const run = await rig.varve(['build', 'ctx', '--progress', 'plain', ...args]);
    if ((run.status !== 3 && run.status !== 1) || !expected.test(run.stderr))
      wrong.push(`${name}: ${run.status} ${run.stderr}`);
  }
  deepEqual(wrong, []);
  note(`rootless: ${cases.length} things that need root are refused with a reason`);
});

test('a user without subordinate ids is told how to get them', { skip }, async () => {
  await using rig = new Rig();
  rig.giveTo({ uid: 65534, gid: 65534 });
  const run = await rig.varve(['image', 'ls'], { as: { uid: 65534, gid: 65534 } });
  equal(run.status, 3);
  match(
    run.stderr,
    /^error\[SB011\]: without root a user namespace is needed, and cannot be had: .*\nhelp: give the user a range of ids, as root: usermod /,
  );
});
