import { deepEqual } from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { note } from '../rig/golden.ts';
import { varveHere } from '../rig/in-process.ts';
import { type Answered, type Recorded, Recorder } from '../rig/recorder.ts';
import { GitServer } from '../rig/remote.ts';
import { Rig, type Run } from '../rig/rig.ts';

/** Where an answer leads that nobody may follow, or not for ever; and what is said. */
const WAYS: readonly (readonly [to: string, said: RegExp])[] = [
  ['file:///etc/passwd', /neither http nor https/],
  ['file://127.0.0.1/etc/passwd', /neither http nor https/],
  ['ftp://127.0.0.1/x', /neither http nor https/],
  ['data:text/plain,FROM%20scratch', /neither http nor https/],
  ['unix:/run/docker.sock', /neither http nor https/],
  ['gopher://127.0.0.1:6379/_x', /neither http nor https/],
  ['ext::sh -c touch% OUT/pwned', /neither http nor https/],
  ['javascript:0', /neither http nor https/],
  ['http://', /no address|refused redirect/],
  ['http://[::1', /no address|refused redirect/],
  ['SELF', /too many redirects|redirect/],
  ['CHAIN', /too many redirects|redirect/],
];

/** What git, which follows redirects itself where it has no credentials, says in its own words. */
const BY_GIT = /neither http nor https|redirect|not supported or disabled|returned error: 302/;

/** Everything that asks a server for something, and how it is made to. */
const ASKING: Readonly<Record<string, (rig: Rig, host: string) => readonly string[]>> = {
  ADD: (rig, host) => file(rig, `FROM scratch\nADD http://${host}/f /f\n`),
  'a context': (_, host) => [`http://${host}/f`],
  'a named context': (rig, host) => [
    ...['--build-context', `ctx=http://${host}/f`],
    ...file(rig, 'FROM scratch\nCOPY --from=ctx / /\n'),
  ],
  'ADD of git': (rig, host) => file(rig, `FROM scratch\nADD http://${host}/f.git /f\n`),
  'ADD of git with a token': (rig, host) => [
    ...['--secret', 'id=GIT_AUTH_TOKEN,env=TOKEN'],
    ...file(rig, `FROM scratch\nADD http://${host}/f.git /f\n`),
  ],
  'a context of git': (_, host) => [`http://${host}/f.git#main`],
  FROM: (rig, host) => file(rig, `FROM ${host}/f:1\n`),
};

/** Answers of a registry that lead elsewhere before anybody is signed in, and after. */
const REGISTRY: Readonly<Record<string, (to: string, request: Recorded) => Answered>> = {
  'a realm': (to) => ({ status: 401, headers: { 'www-authenticate': `Bearer realm="${to}"` } }),
  'an upload': (to, { all }) =>
    all.startsWith('HEAD') ? { status: 404 } : { status: 202, headers: { location: to } },
};

function file(rig: Rig, text: string): readonly string[] {
  rig.write('app/Dockerfile', text);
  return ['app'];
}

const build = async (rig: Rig, args: readonly string[]): Promise<Run> =>
  await varveHere(rig, rig.work, ['build', '--progress=plain', ...args], {
    ...{ VARVE_NETWORK_TRIES: '1', TOKEN: 'tell-nobody-77' },
  });

test('no answer leads a client to a file, another protocol, round in circles or for ever', async () => {
  const wrong: string[] = [];
  let rows = 0;
  const judge = (where: string, run: Run, said: RegExp): void => {
    rows++;
    const text = run.stdout + run.stderr;
    if (run.status !== 3) wrong.push(`${where}: exit ${String(run.status)} ${text.slice(-300)}`);
    else if (!said.test(text)) wrong.push(`${where}: only said ${text.slice(-300)}`);
    if (/root:x:0|tell-nobody/.test(text)) wrong.push(`${where}: told ${text}`);
  };
  await using rig = new Rig();
  const outside = join(rig.root, 'outside');
  mkdirSync(outside);
  for (const [to, said] of WAYS) {
    let hops = 0;
    await using server = await Recorder.start({}, ({ path }) => {
      const location =
        to === 'SELF' ? path : to === 'CHAIN' ? path.replace('/f', `/f${++hops}/f`) : to;
      return { status: 302, headers: { location: location.replace('OUT', outside) } };
    });
    for (const [name, ask] of Object.entries(ASKING)) {
      const run = await build(rig, ask(rig, server.host));
      judge(`${name} to ${to}`, run, name.includes('git') ? BY_GIT : said);
    }
    if (server.seen.length > 200) wrong.push(`${to}: ${server.seen.length} requests`);
  }
  for (const [to, said] of WAYS.slice(0, 8))
    for (const [name, answer] of Object.entries(REGISTRY)) {
      await using server = await Recorder.start({}, (request) =>
        answer(to.replace('OUT', outside), request),
      );
      file(rig, 'FROM scratch\nCOPY Dockerfile /\n');
      const run = await build(rig, ['-o', `type=image,name=${server.host}/x:1,push=true`, 'app']);
      judge(`${name} at ${to}`, run, /refused/.test(run.stderr) ? /refused/ : said);
    }
  deepEqual([wrong, readdirSync(outside)], [[], []]);
  note(`redirects: ${rows} answers that lead to files, protocols and circles are refused`);
});

test('an address in a redirect has its own credentials, and loopback is a host as any other', async () => {
  await using rig = new Rig();
  await using there = await Recorder.start({}, () => ({ status: 200, body: 'there' }));
  const elsewhere = `http://guest:open-word@${there.host}/g`;
  await using here = await Recorder.start({}, () => ({
    status: 302,
    headers: { location: elsewhere },
  }));
  const run = await build(
    rig,
    file(rig, `FROM scratch\nADD http://me:hidden-9@${here.host}/f /f\n`),
  );
  const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;
  deepEqual(
    [
      run.status,
      here.seen.map(({ authorization }) => authorization),
      there.seen.map(({ authorization }) => authorization),
      /hidden-9|open-word/.test(run.stdout + run.stderr),
    ],
    [0, [basic('me:hidden-9')], [basic('guest:open-word')], false],
  );
});

/** What stands in `.gitmodules` for a submodule at `m`; `OUT` is a directory nothing may be made in. */
const SUBMODULES: Readonly<Record<string, string>> = {
  'a program': 'path = m\n\turl = ext::sh -c touch% OUT/pwned',
  'a directory of this machine': 'path = m\n\turl = file://OUT',
  'a path of this machine': 'path = m\n\turl = OUT',
  'a path above': 'path = m\n\turl = ../../../../../../../OUT',
  'an option': 'path = m\n\turl = --upload-pack=touch OUT/pwned',
  'an option of ssh': 'path = m\n\turl = ssh://-oProxyCommand=touch%20OUT/pwned/x',
  'an option of ssh, short': 'path = m\n\turl = -oProxyCommand=touch OUT/pwned:x',
  'another scheme': 'path = m\n\turl = ftp://127.0.0.1:1/x.git',
  'a helper': 'path = m\n\turl = fd::17',
  'a place above': 'path = ../m\n\turl = URL',
  'a place in .git': 'path = .git/hooks\n\turl = URL',
  'an absolute place': 'path = OUT/m\n\turl = URL',
  'a command for updates': 'path = m\n\turl = URL\n\tupdate = !touch OUT/pwned',
  'a line end': 'path = m\\r\n\turl = URL',
};

/** What is written where a repository is expected, as a whole word of ADD or as a context. */
const ADDRESSES: Readonly<Record<string, string>> = {
  'a program': 'ext::sh%20-c%20touch%20OUT/pwned',
  'a directory of this machine': 'file://OUT/repo.git',
  'an option': '--upload-pack=touch%20OUT/pwned',
  'an option of ssh': 'ssh://-oProxyCommand=touch%20OUT/pwned/x.git',
  'an option of ssh with a user': 'ssh://-oProxyCommand=touch@h/x.git',
  'an option as a user': '-oProxyCommand@h:x.git',
  'an option as a host': 'git@-oProxyCommand:x.git',
  'an option as a reference': 'URL#--upload-pack=touch%20OUT/pwned',
  'an option as a reference asked for': 'URL?ref=--upload-pack=touch%20OUT/pwned',
  'an option as a branch': 'URL?branch=--upload-pack=x',
  'a refspec as a reference': 'URL?ref=main:refs/heads/evil',
  'a directory above': 'URL#main:../../..',
  'a directory through a link': 'URL#main:link',
  'an absolute directory': 'URL#main:/OUT',
  'a directory that is an option': 'URL#main:--help',
  'a directory of git': 'URL#main:.git/refs',
};

test('no repository, address, reference or submodule makes git run programs or touch what is outside', async () => {
  await using server = await GitServer.start();
  await using rig = new Rig();
  const outside = join(rig.root, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'secret'), 'top-secret-data');
  const placed = (text: string): string =>
    text.replaceAll('OUT', outside).replaceAll('URL', server.url('good'));
  const sha = server.commit('good', { 'sub/f': 'x\n' });
  server.git('good', 'update-index', '--add', '--cacheinfo', `120000,${link(server)},link`);
  server.git('good', 'commit', '--quiet', '-m', 'link');
  const wrong: string[] = [];
  let rows = 0;
  const judge = async (where: string, args: readonly string[]): Promise<void> => {
    rows++;
    const run = await build(rig, [...args]);
    const text = run.stdout + run.stderr;
    if (run.status === 70 || run.status === null) wrong.push(`${where}: crashed: ${text}`);
    if (text.includes('top-secret-data')) wrong.push(`${where}: read what is outside`);
    if (existsSync(join(outside, 'pwned')) || readdirSync(outside).length !== 1)
      wrong.push(`${where}: wrote outside`);
    if (run.status === 0) {
      const out = [...rig.files(join(rig.work, 'out'))];
      if (out.some(([, bytes]) => bytes.includes('top-secret-data')))
        wrong.push(`${where}: took what is outside`);
    }
  };
  const out = ['-o', 'type=local,dest=out'];
  for (const [i, [name, module]] of Object.entries(SUBMODULES).entries()) {
    const repository = `modules${i}`;
    server.commit(repository, { '.gitmodules': placed(`[submodule "m"]\n\t${module}\n`) });
    server.git(repository, 'update-index', '--add', '--cacheinfo', `160000,${sha},m`);
    server.git(repository, 'commit', '--quiet', '-m', 'module');
    const add = file(rig, `FROM scratch\nADD ${server.url(repository)} /x\n`);
    await judge(`a submodule of ${name}`, [...out, ...add]);
  }
  for (const [name, address] of Object.entries(ADDRESSES)) {
    const at = placed(address);
    const ssh = ['--ssh', `default=${join(outside, 'secret')}`];
    await judge(`ADD of ${name}`, [...ssh, ...out, ...file(rig, `FROM scratch\nADD ${at} /x\n`)]);
    if (!at.startsWith('-')) await judge(`a context of ${name}`, [...ssh, ...out, at]);
    const named = ['--build-context', `ctx=${at}`];
    const from = file(rig, 'FROM scratch\nCOPY --from=ctx / /\n');
    await judge(`a named context of ${name}`, [...ssh, ...named, ...out, ...from]);
  }
  deepEqual(wrong, []);
  note(`git: ${rows} hostile addresses, references and submodules touch nothing outside`);
});

/** An object of git that is a link out of the repository. */
function link(server: GitServer): string {
  writeFileSync(join(server.root, 'target'), '../../../../../../../../..');
  return server.git('good', 'hash-object', '-w', '../target');
}
