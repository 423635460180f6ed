import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Daemon, freePort } from '../rig/daemon.ts';
import { GitServer } from '../rig/remote.ts';
import { buildFiles, installed } from '../rig/results.ts';
import { needsSteps, Rig } from '../rig/rig.ts';

const SSHD = '/usr/sbin/sshd';
const needsSshd: string | false =
  needsSteps !== false
    ? needsSteps
    : existsSync(SSHD) && installed('ssh-agent', 'ssh-add', 'ssh-keygen')
      ? false
      : 'needs openssh-server and openssh-client';

const FILES = { Dockerfile: 'FROM scratch\nCOPY f /copied\n', f: 'file\n', 'sub/g': 'below\n' };

function adding(rig: Rig, address: string): void {
  rig.write('app/Dockerfile', `FROM scratch\nADD ${address}#main:sub /added/\n`);
}

test('the git protocol serves contexts and ADD', { skip: needsSteps }, async () => {
  await using server = await GitServer.start();
  await using rig = new Rig();
  server.commit('repo', FILES);
  const port = await freePort();
  const listen = ['--listen=127.0.0.1', `--port=${port}`, '--reuseaddr'];
  const argv = ['git', 'daemon', '--verbose', '--export-all', `--base-path=${server.root}`];
  await using _daemon = await Daemon.start([...argv, ...listen], 'Ready to rumble');
  const address = `git://127.0.0.1:${port}/repo.git/.git`;
  adding(rig, address);
  assert.deepEqual(
    [await buildFiles(rig, [`${address}#main`]), await buildFiles(rig, ['app'])],
    [
      { files: { copied: 'file\n' }, again: [] },
      { files: { 'added/g': 'below\n' }, again: [] },
    ],
  );
});

describe('SSH', { skip: needsSshd }, () => {
  /** A server that lets the key of an agent in, and nobody else. */
  async function world(
    rig: Rig,
    root: string,
  ): Promise<{ address: string; stop: AsyncDisposableStack }> {
    const stop = new AsyncDisposableStack();
    const file = (name: string): string => join(rig.root, name);
    for (const name of ['host', 'user'])
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file(name)]);
    copyFileSync(file('user.pub'), file('authorized'));
    mkdirSync('/run/sshd', { recursive: true });
    const port = await freePort();
    const options = [
      `HostKey=${file('host')}`,
      `AuthorizedKeysFile=${file('authorized')}`,
      ...['StrictModes=no', 'UsePAM=no', 'PermitRootLogin=prohibit-password'],
      ...['PasswordAuthentication=no', 'PidFile=none', 'ListenAddress=127.0.0.1'],
    ].flatMap((option) => ['-o', option]);
    const argv = [SSHD, '-D', '-e', '-f', '/dev/null', '-p', String(port), ...options];
    stop.use(await Daemon.start(argv, 'Server listening'));
    const started = execFileSync('ssh-agent', ['-a', file('agent')], { encoding: 'utf8' });
    stop.defer(() => {
      process.kill(Number(/SSH_AGENT_PID=(\d+)/.exec(started)?.[1]));
    });
    const env = { ...process.env, SSH_AUTH_SOCK: file('agent') };
    execFileSync('ssh-add', ['-q', file('user')], { env, stdio: 'pipe' });
    return { address: `ssh://root@127.0.0.1:${port}${root}/repo.git/.git`, stop };
  }

  test('contexts and ADD come through the agent that --ssh gives, and not without it', async () => {
    await using server = await GitServer.start();
    await using rig = new Rig();
    server.commit('repo', FILES);
    const { address, stop } = await world(rig, server.root);
    await using _stop = stop;
    adding(rig, address);
    const agent = `--ssh=default=${join(rig.root, 'agent')}`;
    const without = await rig.varve(['build', '--progress=quiet', 'app']);
    assert.deepEqual(
      [
        await buildFiles(rig, [agent, `${address}#main`]),
        await buildFiles(rig, [agent, 'app']),
        [without.status, without.stderr.split('\n', 1)[0]?.replace(/:\d+\/.*\.git/, ':PORT/REPO')],
      ],
      [
        { files: { copied: 'file\n' }, again: [] },
        { files: { 'added/g': 'below\n' }, again: [] },
        [2, 'error[SR002]: ssh://127.0.0.1:PORT/REPO is reached by SSH, and no agent was given'],
      ],
    );
  });

  test('an agent without the right key is refused with what ssh said', async () => {
    await using server = await GitServer.start();
    await using rig = new Rig();
    server.commit('repo', FILES);
    const { address, stop } = await world(rig, server.root);
    await using _stop = stop;
    adding(rig, address);
    const env = { ...process.env, SSH_AUTH_SOCK: join(rig.root, 'agent') };
    execFileSync('ssh-add', ['-q', '-D'], { env, stdio: 'pipe' });
    const args = ['build', '--progress=quiet', `--ssh=default=${join(rig.root, 'agent')}`, 'app'];
    const run = await rig.varve(args);
    assert.equal(run.status, 3, run.stderr);
    assert.match(run.stderr, /^error\[SR002\]: .*\n[^]*Permission denied \(publickey/);
  });
});
