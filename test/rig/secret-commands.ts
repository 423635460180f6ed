import { join } from 'node:path';
import type { SecretWorld } from './secret-world.ts';

/** A command with what it is given; `fails`: that it is refused is the case. */
export interface Command {
  readonly name: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly fails?: true;
}

const address = (world: SecretWorld, host: string, channel: string): string =>
  `http://me:${world.of(channel)}@${host}`;
/** The host of a server of the world. */
export const at = (world: SecretWorld, name: string): string => world.hosts[name] ?? '';

/** Every credential of a build that succeeds. */
function flagsOf(world: SecretWorld): readonly string[] {
  const repository = address(world, at(world, 'gitUser'), 'user of a repository');
  return [
    ...['--secret', `id=file,src=${world.inputs}/secret`, '--secret', 'id=env,env=IN_ENV'],
    ...['--secret', `id=GIT_AUTH_TOKEN.${at(world, 'gitToken')},env=GIT_TOKEN`],
    ...['--secret', `id=GIT_AUTH_HEADER.${at(world, 'gitHeader')},env=GIT_HEADER`],
    ...['--ssh', 'default', '--build-context', `ctx=${repository}/repo.git#main`],
    ...['--build-arg', `HTTP_PROXY=${address(world, 'p.invalid:1', 'proxy of steps')}`],
    ...['--build-arg', `all_proxy=me:${world.of('proxy of steps, of no scheme')}@p.invalid:1`],
    ...['--provenance=mode=max', '--sbom=true', '--metadata-file', 'meta.json'],
    ...['--iidfile', 'iid'],
  ];
}

const PRINTS =
  'busybox cat /run/secrets/file; echo; echo "$TOKEN" >&2; busybox env; busybox ls $SSH_AUTH_SOCK';

/** A Dockerfile that uses every credential, and prints what its step is given. */
export function dockerfile(world: SecretWorld): string {
  const mounts = '--mount=type=secret,id=file --mount=type=secret,id=env,env=TOKEN';
  return `FROM ${at(world, 'basic')}/team/base:1 AS basic
FROM ${at(world, 'token')}/team/base:1 AS token
FROM ${at(world, 'identity')}/team/base:1 AS identity
FROM basic AS failing
RUN ${mounts} ${PRINTS}; exit 3
FROM ${at(world, 'helper')}/team/base:1
RUN ${mounts} --mount=type=ssh ${PRINTS}; test "$(busybox wc -c < /run/secrets/file)" -gt 30 && test -n "$TOKEN"
ADD ${address(world, at(world, 'files'), 'user of an address')}/user/f /f
ADD http://${at(world, 'gitToken')}/repo.git /git1
ADD http://${at(world, 'gitHeader')}/repo.git /git2
ADD --keep-git-dir ${address(world, at(world, 'gitUser'), 'user of a repository')}/repo.git /git3
COPY --from=ctx sub /git4
COPY --from=basic /bin/sh /sh1
COPY --from=token /bin/sh /sh2
COPY --from=identity /bin/sh /sh3
`;
}

/** Builds that use every credential, with every kind of progress, output and cache. */
export function builds(world: SecretWorld): readonly Command[] {
  const registry = (ref: string): string => `type=registry,ref=${at(world, 'basic')}/team/${ref}`;
  const to = (spec: string): string[] => ['--cache-to', `${spec},mode=max`];
  const from = (spec: string): string[] => ['--cache-from', spec];
  const signed = `sign-key=${join(world.inputs, 'sign.key')}`;
  const push = `type=image,name=${at(world, 'basic')}/team/app:1,push=true`;
  const context = join(world.inputs, 'app');
  const all = flagsOf(world);
  const build = (mode: string, ...more: string[]): string[] => [
    ...['build', `--progress=${mode}`, ...all, ...more, context],
  ];
  const remote = address(world, at(world, 'gitUser'), 'user of a repository');
  const file = address(world, at(world, 'files'), 'user of the address of a context');
  return [
    {
      name: 'plain',
      args: [
        ...build('plain', '-o', 'type=oci,dest=oci.tar', ...to('type=local,dest=cache-local')),
        ...to(`${registry('cache:1')},${signed}`),
      ],
    },
    {
      name: 'rawjson',
      args: [
        ...build('rawjson', '--no-cache', '-o', 'type=docker,dest=docker.tar'),
        ...[...to('type=dir,path=cache-dir'), ...to(world.s3('a/'))],
      ],
    },
    { name: 'tty', args: build('tty', '--no-cache', '--json', '-o', push, ...to('type=gha')) },
    {
      name: 'from caches',
      args: [
        ...build(
          'plain',
          '-o',
          'type=local,dest=tree',
          ...from('type=gha'),
          ...from(world.s3('a/')),
        ),
        ...[...from('type=dir,path=cache-dir'), ...from(registry('cache:1'))],
      ],
    },
    { name: 'an image', args: build('plain', '-t', 'app') },
    { name: 'plan', args: [...build('plain'), '--plan'] },
    { name: 'outline', args: [...build('plain'), '--call', 'outline'] },
    { name: 'check', args: [...build('plain'), '--call', 'check,format=json'], fails: true },
    { name: 'lint', args: ['lint', context], fails: true },
    { name: 'context of git', args: ['build', '--provenance=mode=max', `${remote}/repo.git#main`] },
    { name: 'context of http', args: ['build', '-t', 'file', `${file}/context.docker`] },
    {
      name: 'a proxy',
      args: ['build', '-'],
      input: 'FROM scratch\nADD http://far.invalid/file /f\n',
      env: { http_proxy: address(world, at(world, 'proxy'), 'proxy') },
    },
    { name: 'bake', args: ['bake', '-f', join(world.inputs, 'bake.json'), 'app'] },
    { name: 'a plan of targets', args: ['plan', '-f', join(world.inputs, 'bake.json'), 'app'] },
  ];
}

/** Builds that fail while a credential is in use. */
export function failures(world: SecretWorld): readonly Command[] {
  const context = join(world.inputs, 'app');
  const step = ['plain', 'rawjson', 'tty'].map((mode): Command => {
    const args = ['build', `--progress=${mode}`, '--json', ...flagsOf(world), '--target=failing'];
    return { name: `a step that fails, ${mode}`, args: [...args, context], fails: true };
  });
  const refused = Object.entries(world.refusing).flatMap(([status, host]): readonly Command[] => {
    const user = (channel: string): string => address(world, host, channel);
    const text = (name: string, line: string, more: readonly string[] = []): Command => ({
      name: `${name}: ${status}`,
      args: ['build', ...more, '-'],
      input: `${line}\n`,
      fails: true,
    });
    const context = (name: string, where: string): Command => ({
      name: `${name}: ${status}`,
      args: ['build', where],
      fails: true,
    });
    const secret = ['--secret', 'id=GIT_AUTH_TOKEN,env=GIT_TOKEN'];
    const repository = `${user('user of a repository')}/repo.git`;
    const cache = (name: string, spec: string, env = {}): Command => ({
      name: `${name}: ${status}`,
      args: ['build', '--cache-from', spec, '--cache-to', spec, '-'],
      input: `FROM scratch\nCOPY <<EOF /${name.replaceAll(' ', '-')}\n${host}\nEOF\n`,
      env,
      fails: true,
    });
    return [
      text('ADD', `FROM scratch\nADD ${user('user of an address')}/f /f`),
      text('ADD of git', `FROM scratch\nADD ${repository} /f`),
      text('ADD of git with a token', `FROM scratch\nADD http://${host}/repo.git /f`, secret),
      text('FROM', `FROM ${host}/team/base:1`),
      text('a named context', 'FROM ctx', ['--build-context', `ctx=${repository}`]),
      context('a context of git', repository),
      context('a context of http', `${user('user of the address of a context')}/f`),
      cache('a registry', `type=registry,ref=${host}/team/cache:1`),
      cache('a bucket', world.s3('a/').replace(at(world, 's3'), host)),
      cache('a service', 'type=gha', { ACTIONS_RESULTS_URL: `http://${host}/` }),
      {
        ...text('ADD through a proxy', 'FROM scratch\nADD http://far.invalid/f /f'),
        env: { http_proxy: address(world, host, 'proxy') },
      },
      {
        ...text('git through a proxy', 'FROM scratch\nADD http://far.invalid/f.git /f'),
        env: { http_proxy: address(world, host, 'proxy') },
      },
    ];
  });
  return [
    ...step,
    ...refused,
    { name: 'a template', args: ['compose', join(world.inputs, 'os.yml')], fails: true },
  ];
}

/** Commands that show what a store knows. */
export const LOOKS: readonly (readonly string[])[] = [
  ...[['history', 'ls'], ['history', 'show'], ['history', 'logs'], ['why'], ['cache', 'ls']],
  ...[
    ['history', 'ls', '--json'],
    ['history', 'show', '--json'],
    ['why', '--json'],
  ],
  ...['html', 'markdown', 'prometheus'].map((f) => ['report', '-o', '-', '--format', f]),
  ...[
    ['report', '--json'],
    ['image', 'ls'],
    ['image', 'ls', '--json'],
    ['cache', 'ls', '--json'],
  ],
  ...[['image', 'inspect', 'app'], ['image', 'layers', 'app'], ['cache', 'tree'], ['doctor']],
  ...[
    ['cache', 'df', '--json'],
    ['cache', 'verify'],
    ['cache', 'prune'],
    ['cache', 'gc', '--preset', 'ci'],
  ],
];
