import { BUSYBOX } from './rig.ts';

/** A project as it stands before an edit: files of its context and the arguments of its build. */
export interface CauseProject {
  readonly name: string;
  readonly files: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  /** Text in the image `base:1` that it stands on. */
  readonly base?: string;
  readonly edits: readonly Edit[];
}

/** One edit and what must be named as the cause. */
export interface Edit {
  readonly what: string;
  /** Files that are written (a text) or removed (undefined). */
  readonly files?: Readonly<Record<string, string | undefined>>;
  /** In the Dockerfile: this text becomes that one. */
  readonly dockerfile?: readonly [from: string, to: string];
  readonly args?: readonly string[];
  /** Sets the times of this file to another day. */
  readonly touch?: string;
  /** Builds the image `base:1` anew with this text in it. */
  readonly base?: string;
  /** Removes what was built from the store. */
  readonly evict?: true;
  /** Sets the mode of this file. */
  readonly mode?: readonly [path: string, mode: number];
  /** Kind and name of the first difference; undefined: nothing runs. */
  readonly cause?: readonly [kind: string, name: string];
  /** How many steps run. */
  readonly runs: number;
}

const file = (path: string, runs: number, text = 'edited\n'): Edit => ({
  what: `${path} is edited`,
  files: { [path]: text },
  cause: ['file', path],
  runs,
});

const nothing = (what: string, edit: Partial<Edit>): Edit => ({ what, ...edit, runs: 0 });

const replace = (
  from: string,
  to: string,
  cause: readonly [string, string] | undefined,
  runs: number,
): Edit => ({
  what: `"${from.trim()}" becomes "${to.trim()}"`,
  dockerfile: [from, to],
  ...(cause === undefined ? {} : { cause }),
  runs,
});

const TEXT = ['instruction', 'text'] as const;
const NEW = ['instruction', 'new'] as const;

/** What is the same in every project that has a Dockerfile and a file that is copied. */
const harmless: readonly Edit[] = [
  nothing('nothing changes', {}),
  nothing('the Dockerfile is touched', { touch: 'Dockerfile' }),
  nothing('a comment is added to the Dockerfile', { dockerfile: ['FROM', '# a remark\nFROM'] }),
  nothing('a proxy is given', { args: ['--build-arg', 'HTTPS_PROXY=http://proxy.example:3128'] }),
];

/** Every result is removed from the store: this many steps run again. */
const evicted = (runs: number): Edit => ({
  what: 'the store is emptied',
  evict: true,
  cause: ['evicted', '*'],
  runs,
});

const service: CauseProject = {
  name: 'service',
  files: {
    Dockerfile: `${BUSYBOX}ARG VERSION=1
ENV MODE=fast
COPY requirements.txt /app/
RUN busybox cp /app/requirements.txt /installed
COPY . /app
RUN echo $VERSION $MODE > /version
CMD ["/bin/sh"]
`,
    'requirements.txt': 'flask\n',
    'README.md': 'read me\n',
    'src/main.py': 'print(1)\n',
    'src/util.py': 'x = 1\n',
  },
  edits: [
    ...harmless.map((edit) =>
      edit.dockerfile === undefined
        ? edit
        : { ...edit, cause: ['file', 'Dockerfile'] as const, runs: 2 },
    ),
    file('README.md', 2),
    file('src/main.py', 2),
    file('requirements.txt', 4),
    {
      what: 'a file is added',
      files: { 'src/new.py': 'y\n' },
      cause: ['file', 'src/new.py'],
      runs: 2,
    },
    {
      what: 'a file is removed',
      files: { 'src/util.py': undefined },
      cause: ['file', 'src/util.py'],
      runs: 2,
    },
    nothing('a source is touched', { touch: 'src/main.py' }),
    {
      what: 'a source becomes executable',
      mode: ['src/main.py', 0o755],
      cause: ['file', 'src/main.py'],
      runs: 2,
    },
    {
      what: 'an argument is given',
      args: ['--build-arg', 'VERSION=2'],
      cause: ['argument', 'VERSION'],
      runs: 3,
    },
    nothing('an argument is given its default', { args: ['--build-arg', 'VERSION=1'] }),
    {
      what: 'caching is off',
      args: ['--no-cache'],
      cause: ['no cache', '*'],
      runs: 6,
    },
    evicted(6),
  ],
};

const ignored: CauseProject = {
  name: 'ignore rules',
  files: {
    Dockerfile: 'FROM scratch\nCOPY . /app\n',
    '.dockerignore': '*.log\ndocs\n!docs/keep.md\n.dockerignore\nDockerfile\n',
    'a.txt': 'a\n',
    'b.tmp': 'b\n',
    'debug.log': 'noise\n',
    'docs/guide.md': 'guide\n',
    'docs/keep.md': 'keep\n',
  },
  edits: [
    ...harmless,
    nothing('an ignored file is edited', { files: { 'debug.log': 'more\n' } }),
    nothing('an ignored file is removed', { files: { 'debug.log': undefined } }),
    nothing('an ignored file is added', { files: { 'docs/other.md': 'x\n' } }),
    nothing('a rule for nothing is added', {
      files: { '.dockerignore': '*.log\ndocs\n!docs/keep.md\n.dockerignore\nDockerfile\n*.none\n' },
    }),
    file('docs/keep.md', 1),
    file('a.txt', 1),
    {
      what: 'a rule is added',
      files: { '.dockerignore': '*.log\ndocs\n!docs/keep.md\n.dockerignore\nDockerfile\n*.tmp\n' },
      cause: ['ignore rule', '*.tmp'],
      runs: 1,
    },
    {
      what: 'a rule is removed',
      files: { '.dockerignore': 'docs\n!docs/keep.md\n.dockerignore\nDockerfile\n' },
      cause: ['ignore rule', '*.log'],
      runs: 1,
    },
    {
      what: 'an exception is removed',
      files: { '.dockerignore': '*.log\ndocs\n.dockerignore\nDockerfile\n' },
      cause: ['ignore rule', '!docs/keep.md'],
      runs: 1,
    },
    {
      what: 'an exception is added',
      files: {
        '.dockerignore': '*.log\ndocs\n!docs/keep.md\n!docs/guide.md\n.dockerignore\nDockerfile\n',
      },
      cause: ['ignore rule', '!docs/guide.md'],
      runs: 1,
    },
    evicted(1),
  ],
};

const stages: CauseProject = {
  name: 'stages',
  files: {
    Dockerfile: `${BUSYBOX.replace('scratch', 'scratch AS build')}COPY code /code
RUN busybox cp /code/tool /tool && busybox head -c 2 /code/notes > /short
FROM scratch AS assets
COPY assets /assets
FROM scratch
COPY --from=assets /assets /assets
COPY --from=build /tool /tool
COPY --from=build /short /short
`,
    'code/tool': 'tool 1\n',
    'code/notes': 'ab notes\n',
    'assets/logo': 'logo\n',
    'assets/style': 'style\n',
  },
  edits: [
    ...harmless,
    file('code/tool', 4),
    // The copy of the whole directory is the op that filled it, with the same content: it is found.
    file('assets/logo', 3),
    // The stage is built again, and what is taken from it is the same: the copies are found.
    {
      what: 'an edit that changes no result',
      files: { 'code/notes': 'ab other\n' },
      cause: ['file', 'code/notes'],
      runs: 2,
    },
    nothing('a file that nobody copies is added', { files: { 'other.txt': 'x\n' } }),
    nothing('a stage is renamed', { dockerfile: ['AS assets', 'AS assets'] }),
    replace('COPY --from=build /tool /tool', 'COPY --from=build /tool /bin/tool', TEXT, 2),
    replace('RUN busybox cp /code/tool /tool', 'RUN busybox cp -p /code/tool /tool', TEXT, 1),
    { what: 'another target', args: ['--target', 'assets'], runs: 0 },
    evicted(7),
  ],
};

const expanded: CauseProject = {
  name: 'arguments in instructions',
  files: {
    Dockerfile: `ARG DIR=one
FROM scratch
ARG DIR
ARG UNUSED=1
ARG OWNER=1:1
COPY $DIR /data
COPY --chown=$OWNER common /common
WORKDIR /work/$DIR
`,
    'one/a': 'a\n',
    'two/a': 'b\n',
    common: 'common\n',
  },
  edits: [
    ...harmless,
    {
      what: 'the source directory is another',
      args: ['--build-arg', 'DIR=two'],
      cause: ['option', 'source'],
      runs: 3,
    },
    {
      what: 'the owner is another',
      args: ['--build-arg', 'OWNER=2:2'],
      cause: ['option', '--chown'],
      runs: 2,
    },
    nothing('an argument that no op uses', { args: ['--build-arg', 'UNUSED=2'] }),
    nothing('a file of the other directory is edited', { files: { 'two/a': 'c\n' } }),
    file('one/a', 3),
    file('common', 2),
    replace('WORKDIR /work/$DIR', 'WORKDIR /elsewhere/$DIR', TEXT, 1),
    replace('ARG OWNER=1:1', 'ARG OWNER=3:3', ['option', '--chown'], 2),
    replace(
      'COPY --chown=$OWNER common /common',
      'COPY --chown=$OWNER --chmod=600 common /common',
      TEXT,
      2,
    ),
    evicted(3),
  ],
};

const environment: CauseProject = {
  name: 'environment',
  files: {
    Dockerfile: `${BUSYBOX}ENV A=1
RUN echo $A > /a
ENV B=1
RUN echo $B > /b
USER 5
RUN busybox id -u > /tmp-id || true
`,
    'unused.txt': 'x\n',
  },
  edits: [
    ...harmless,
    nothing('a file that no step uses is edited', { files: { 'unused.txt': 'y\n' } }),
    replace('ENV A=1', 'ENV A=2', ['environment', 'A'], 3),
    replace('ENV B=1', 'ENV B=2', ['environment', 'B'], 2),
    replace('ENV B=1', 'ENV B=1 C=1', ['environment', 'C'], 2),
    replace('ENV B=1\n', '', ['environment', 'B'], 2),
    replace('USER 5', 'USER 6', ['option', 'user'], 1),
    replace('RUN echo $B > /b', 'RUN echo $B > /c', TEXT, 2),
    replace('USER 5', 'SHELL ["/bin/busybox", "sh", "-c"]\nUSER 5', ['command', 'command'], 1),
    replace('USER 5', 'LABEL x=y\nUSER 5', undefined, 0),
    replace('USER 5', 'EXPOSE 80\nUSER 5', undefined, 0),
    replace('RUN busybox id', 'HEALTHCHECK NONE\nRUN busybox id', undefined, 0),
    evicted(5),
  ],
};

const mounts: CauseProject = {
  name: 'mounts',
  files: {
    Dockerfile: `${BUSYBOX}RUN --mount=type=bind,source=lists,target=/lists --mount=type=cache,target=/cache,id=one busybox cat /lists/list > /installed
RUN --mount=type=tmpfs,target=/scratch echo done > /done
RUN --mount=type=secret,id=token,required=false echo secret > /third
`,
    'lists/list': 'one\n',
    'lists/other': 'other\n',
  },
  edits: [
    ...harmless,
    file('lists/list', 3),
    file('lists/other', 3),
    replace('id=one', 'id=two', undefined, 0),
    replace('type=tmpfs,target=/scratch', 'type=tmpfs,target=/scratch2', TEXT, 2),
    replace('id=token', 'id=other', TEXT, 1),
    replace(
      'RUN --mount=type=tmpfs,target=/scratch',
      'RUN --network=none --mount=type=tmpfs,target=/scratch',
      TEXT,
      2,
    ),
    {
      what: 'a host is added',
      args: ['--add-host', 'box:10.0.0.1'],
      cause: ['option', '--add-host'],
      runs: 3,
    },
    {
      what: 'shared memory is larger',
      args: ['--shm-size', '128m'],
      runs: 3,
      cause: ['mount', '/dev/shm'],
    },
    {
      what: 'a limit is set',
      args: ['--ulimit', 'nofile=64:64'],
      cause: ['option', '--ulimit'],
      runs: 3,
    },
    {
      what: 'the network is off',
      args: ['--network', 'none'],
      cause: ['option', '--network'],
      runs: 3,
    },
    evicted(5),
  ],
};

const order: CauseProject = {
  name: 'order',
  files: {
    Dockerfile: 'FROM scratch\nCOPY a /a\nCOPY b /b\nCOPY c /c\nWORKDIR /w\n',
    a: 'a\n',
    b: 'b\n',
    c: 'c\n',
    d: 'd\n',
  },
  edits: [
    ...harmless,
    replace('COPY a /a\nCOPY b /b\n', 'COPY b /b\nCOPY a /a\n', ['order', 'comes after'], 4),
    replace('COPY b /b\nCOPY c /c\n', 'COPY c /c\nCOPY b /b\n', ['order', 'comes after'], 3),
    replace('COPY b /b\n', 'COPY d /d\nCOPY b /b\n', NEW, 4),
    replace('COPY b /b\n', '', ['order', 'comes after'], 1),
    replace('WORKDIR /w\n', '', undefined, 0),
    replace('WORKDIR /w\n', 'WORKDIR /w\nCOPY d /d\n', ['order', 'comes after'], 1),
    replace('COPY b /b', 'COPY d /b', TEXT, 3),
    file('a', 4),
    file('b', 3),
    file('c', 2),
    nothing('an uncopied file is edited', { files: { d: 'e\n' } }),
    evicted(4),
  ],
};

const linked: CauseProject = {
  name: 'linked copies',
  files: {
    Dockerfile:
      'FROM scratch\nCOPY --link models /models\nCOPY --link code /code\nCOPY --link --chmod=644 conf /conf\n',
    'models/m': 'model\n',
    'code/c': 'code\n',
    conf: 'conf\n',
  },
  edits: [
    ...harmless,
    // As in BuildKit, --chmod turns --link off: the last copy stands on the others.
    file('code/c', 3),
    file('models/m', 3),
    file('conf', 1),
    {
      what: 'a model is added',
      files: { 'models/n': 'n\n' },
      cause: ['file', 'models/n'],
      runs: 3,
    },
    replace('--chmod=644 conf', '--chmod=600 conf', TEXT, 1),
    nothing('the code is touched', { touch: 'code/c' }),
    evicted(4),
  ],
};

const heredoc: CauseProject = {
  name: 'heredocs',
  files: {
    Dockerfile: `${BUSYBOX}COPY <<EOF /etc/conf
key=1
EOF
RUN <<EOF
echo one > /one
EOF
`,
    'unused.txt': 'x\n',
  },
  edits: [
    ...harmless,
    replace('key=1', 'key=2', ['file', 'EOF'], 3),
    replace('echo one', 'echo two', ['command', 'command'], 1),
    replace('/etc/conf', '/etc/other', TEXT, 2),
    nothing('an unused file is edited', { files: { 'unused.txt': 'y\n' } }),
    replace('EOF\nRUN', 'EOF\n# remark\nRUN', undefined, 0),
    evicted(5),
  ],
};

const patterns: CauseProject = {
  name: 'patterns',
  files: {
    Dockerfile:
      'FROM scratch\nCOPY *.txt /texts/\nCOPY --exclude=*.md docs /docs\nCOPY --parents lib/*/main /parents/\n',
    'a.txt': 'a\n',
    'b.txt': 'b\n',
    'c.bin': 'c\n',
    'docs/x.md': 'x\n',
    'docs/x.html': 'x\n',
    'lib/one/main': '1\n',
    'lib/one/other': '2\n',
  },
  edits: [
    ...harmless,
    file('a.txt', 3),
    {
      what: 'a matching file is added',
      files: { 'd.txt': 'd\n' },
      cause: ['file', 'd.txt'],
      runs: 3,
    },
    {
      what: 'a matching file is removed',
      files: { 'b.txt': undefined },
      cause: ['file', 'b.txt'],
      runs: 3,
    },
    nothing('a file that does not match is edited', { files: { 'c.bin': 'd\n' } }),
    nothing('an excluded file is edited', { files: { 'docs/x.md': 'y\n' } }),
    file('docs/x.html', 2),
    file('lib/one/main', 1),
    nothing('a neighbour is edited', { files: { 'lib/one/other': '3\n' } }),
    replace('--exclude=*.md', '--exclude=*.html', TEXT, 2),
    replace('*.txt', '*.bin', TEXT, 3),
    evicted(3),
  ],
};

const kinds: CauseProject = {
  name: 'modes and kinds',
  files: {
    Dockerfile: 'FROM scratch\nCOPY --chown=1:2 bin /bin\nADD conf.d /etc/conf.d\n',
    'bin/tool': '#!/bin/sh\n',
    'conf.d/10': 'ten\n',
    'conf.d/20': 'twenty\n',
  },
  edits: [
    ...harmless,
    {
      what: 'a tool becomes executable',
      mode: ['bin/tool', 0o755],
      cause: ['file', 'bin/tool'],
      runs: 2,
    },
    {
      what: 'a file becomes private',
      mode: ['conf.d/10', 0o600],
      cause: ['file', 'conf.d/10'],
      runs: 1,
    },
    file('conf.d/20', 1),
    {
      what: 'an empty file is added',
      files: { 'conf.d/30': '' },
      cause: ['file', 'conf.d/30'],
      runs: 1,
    },
    {
      what: 'a file is removed',
      files: { 'conf.d/20': undefined },
      cause: ['file', 'conf.d/20'],
      runs: 1,
    },
    nothing('a file is written with the same bytes', { files: { 'conf.d/10': 'ten\n' } }),
    nothing('a file is touched', { touch: 'conf.d/10' }),
    replace('--chown=1:2', '--chown=3:4', TEXT, 2),
    replace('ADD conf.d', 'COPY conf.d', TEXT, 1),
    evicted(2),
  ],
};

const platforms: CauseProject = {
  name: 'platforms',
  files: {
    Dockerfile: 'FROM scratch\nARG TARGETARCH\nCOPY app-$TARGETARCH /app\nCOPY shared /shared\n',
    'app-amd64': 'amd64\n',
    'app-arm64': 'arm64\n',
    shared: 'shared\n',
  },
  args: ['--platform', 'linux/amd64'],
  edits: [
    ...harmless,
    {
      what: 'another platform',
      args: ['--platform', 'linux/arm64'],
      cause: ['option', 'source'],
      runs: 2,
    },
    nothing('the other platform’s file is edited', { files: { 'app-arm64': 'x\n' } }),
    file('app-amd64', 2),
    file('shared', 1),
    replace('COPY shared /shared', 'COPY shared /common', TEXT, 1),
    evicted(2),
  ],
};

const secrets: CauseProject = {
  name: 'secrets and proxies',
  files: {
    Dockerfile: `${BUSYBOX}ARG SECRET=key
RUN --mount=type=secret,id=$SECRET,target=/secret,required=false echo one > /one
RUN --mount=type=secret,id=token,env=TOKEN,required=false echo two > /two
RUN --mount=type=ssh,required=false echo three > /three
`,
    value: 'value\n',
    other: 'other\n',
  },
  edits: [
    ...harmless,
    nothing('a secret is given', { args: ['--secret', 'id=token,src=app/value'] }),
    nothing('the secret has another value', { args: ['--secret', 'id=token,src=app/other'] }),
    nothing('another secret is given', { args: ['--secret', 'id=unused,src=app/other'] }),
    nothing('two proxies are given', {
      args: ['--build-arg', 'http_proxy=http://a.example', '--build-arg', 'NO_PROXY=b.example'],
    }),
    {
      what: 'the argument that names a secret is another',
      args: ['--build-arg', 'SECRET=other'],
      cause: ['argument', 'SECRET'],
      runs: 3,
    },
    replace('id=token,env=TOKEN', 'id=other,env=TOKEN', TEXT, 2),
    replace('id=token,env=TOKEN', 'id=token,env=OTHER', TEXT, 2),
    replace('id=token,env=TOKEN', 'id=token,target=/token', TEXT, 2),
    replace('type=ssh,', 'type=ssh,id=other,', TEXT, 1),
    replace('ARG SECRET=key', 'ARG SECRET=key\nARG HTTPS_PROXY', undefined, 0),
    evicted(5),
  ],
};

const base: CauseProject = {
  name: 'a base image',
  base: 'one\n',
  files: {
    Dockerfile: 'FROM base:1\nCOPY a /a\nWORKDIR /w\n',
    a: 'a\n',
  },
  edits: [
    ...harmless,
    file('a', 2),
    nothing('the base is built again with the same content', { base: 'one\n' }),
    { what: 'the base is another', base: 'two\n', cause: ['base', '*'], runs: 3 },
    replace('FROM base:1', 'FROM scratch', ['order', 'comes after'], 2),
    evicted(2),
  ],
};

/** Fourteen projects with their edits. */
export const CAUSE_PROJECTS: readonly CauseProject[] = [
  ...[service, ignored, stages, expanded, environment, mounts],
  ...[order, linked, heredoc, patterns, kinds, platforms],
  ...[secrets, base],
];
