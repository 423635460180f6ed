import { deepEqual, ok } from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { note } from '../rig/golden.ts';
import { varveHere } from '../rig/in-process.ts';
import { Leaks } from '../rig/leaks.ts';
import { BUSYBOX, needsSteps, type Run } from '../rig/rig.ts';
import { at, builds, type Command, dockerfile, failures, LOOKS } from '../rig/secret-commands.ts';
import { SecretWorld } from '../rig/secret-world.ts';

test('the search finds a secret in every form, cut in two, in databases and behind compressions', () => {
  const leaks = new Leaks();
  const [one, two] = [leaks.secret('one'), leaks.secret('two')];
  const key = randomBytes(32);
  leaks.also('a key', key);
  const dir = mkdtempSync(join(tmpdir(), 'varve-leaks-'));
  try {
    const put = (name: string, data: string | Uint8Array): void =>
      writeFileSync(join(dir, name), data);
    put('plain', `a ${one} b`);
    put('hex', Buffer.from(one).toString('hex'));
    put('HEX', Buffer.from(one).toString('hex').toUpperCase());
    for (const user of ['', 'm', 'me', 'you'])
      put(`basic-${user}`, Buffer.from(`${user}:${one}`).toString('base64'));
    put('url', encodeURIComponent(`&${one}/`));
    put('head', one.slice(0, -3));
    put('tail', one.slice(3));
    put('gzip', Buffer.concat([randomBytes(5000), gzipSync(one), randomBytes(10)]));
    put('zstd', zstdCompressSync(gzipSync(`${'x'.repeat(100_000)}${two}`)));
    put('key', Buffer.concat([randomBytes(7), key]));
    put('key64', Buffer.concat([randomBytes(7), key]).toString('base64url'));
    put(`name-${two}`, '');
    put('nothing', randomBytes(100_000));
    using db = new DatabaseSync(join(dir, 'x.db'));
    db.exec('CREATE TABLE t (a TEXT, b BLOB)');
    const big = Buffer.concat([Buffer.alloc(50_000, 120), gzipSync(two)]);
    db.prepare('INSERT INTO t VALUES (?, ?)').run('x', big);
    leaks.tree(dir, '');
    const found = leaks.found.map(({ channel, where, form }) => `${where}: ${form}: ${channel}`);
    deepEqual(
      found.map((each) => each.replace(two, 'TWO')).sort(),
      [
        ...['', 'm', 'me', 'you'].map((user) => `/basic-${user}: base64: one`),
        ...['/HEX: hex: one', '/gzip: gzip plain: one', '/head: plain: one', '/hex: hex: one'],
        ...['/key64: base64: a key', '/key: plain: a key', '/name-TWO: plain: two'],
        ...['/plain: plain: one', '/tail: plain: one', '/url: plain: one'],
        ...['/x.db: gzip plain: two', '/x.db:t.b: gzip plain: two', '/zstd: zstd gzip plain: two'],
      ].sort(),
    );
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

// One world for all: what one command keeps, another could show.
test('no credential is in any byte of the store, of outputs, caches and results, or in an argument of another program', {
  skip: needsSteps,
}, async () => {
  await using world = await SecretWorld.start();
  const { leaks, rig } = world;
  const wrong: string[] = [];
  const took = async (name: string, run: Promise<Run>): Promise<Run> => {
    const done = await run.catch((e: unknown) => ({ status: 70, stdout: '', stderr: String(e) }));
    leaks.look(`${name}: standard output`, done.stdout);
    leaks.look(`${name}: standard error`, done.stderr);
    if (done.status === 70) wrong.push(`${name}: crashed: ${done.stderr}`);
    return done;
  };
  const all = (command: Command): Record<string, string> => ({ ...world.env, ...command.env });
  rig.context('base', { Dockerfile: BUSYBOX });
  const base = `type=image,name=${at(world, 'basic')}/team/base:1,push=true`;
  const prepared: Command = { name: 'a base', args: ['build', '-o', base, 'base'] };
  world.write(dockerfile(world));
  const works = [prepared, ...builds(world)];
  for (const command of works) {
    const { input = '' } = command;
    const run = await took(command.name, rig.varve(command.args, { env: all(command), input }));
    if (run.status !== 0 && command.fails !== true)
      wrong.push(`${command.name}: exit ${String(run.status)} ${run.stderr.slice(0, 400)}`);
  }
  const fails = failures(world);
  for (const command of fails) {
    const { input = '' } = command;
    const stdin = (async function* () {
      yield await Promise.resolve(Buffer.from(input));
    })();
    const here = varveHere(rig, rig.work, command.args, all(command), stdin);
    const run = await took(command.name, here);
    if (run.status === 0 && !/^a (?:registry|bucket|service)/.test(command.name))
      wrong.push(`${command.name}: succeeded`);
  }
  const ids = await varveHere(rig, rig.work, ['history', 'ls', '--json', '-n', '99'], world.env);
  const each = [...ids.stdout.matchAll(/^\{[^{]*?"id":"([^"]+)"/gm)].map(([, id]) => id ?? '');
  const looks = [
    ...LOOKS,
    ...each.flatMap((id) => [
      ['why', id],
      ['history', 'logs', id],
    ]),
  ];
  for (const args of looks) {
    const run = await took(args.join(' '), varveHere(rig, rig.work, args, world.env));
    if (run.status !== 0) wrong.push(`${args.join(' ')}: exit ${String(run.status)} ${run.stderr}`);
  }
  leaks.tree(rig.store, 'store');
  leaks.tree(rig.work, 'results');
  leaks.look('arguments and environment of other programs', world.callsText());
  const found = leaks.found.map(({ channel, where, form }) => `${channel}: ${where} (${form})`);
  deepEqual([wrong, found, world.unused()], [[], [], []]);
  ok(each.length > 20);
  note(
    `secrets: ${leaks.channels.length} channels, ${works.length + fails.length} builds (${fails.length} that fail) and ${looks.length} other commands; ${leaks.places} outputs, files and rows with ${Math.round(leaks.bytes / 2 ** 20)} MiB searched, none found`,
  );
});
