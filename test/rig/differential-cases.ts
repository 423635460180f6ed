/** Dockerfiles that two builders must agree on. `base` is an image of busybox; every context holds the files of `CONTEXT`. */

/** One Dockerfile, with what it needs beyond the common context. */
export interface DifferentialCase {
  readonly name: string;
  readonly dockerfile: string;
  readonly args?: Readonly<Record<string, string>>;
  readonly target?: string;
  readonly ignore?: string;
  /** Where the peer's result is known to differ: nothing else may, and this must (docs/differences.md says it). */
  readonly differs?: {
    /** By path of the file tree. */
    readonly tree?: Readonly<Record<string, Difference>>;
    /** By key of the image's config. */
    readonly config?: Readonly<Record<string, Difference>>;
  };
  /** The same for the BuildKit inside Docker; `refuses` is part of what it says to a file that is too new for it. */
  readonly docker?: NonNullable<DifferentialCase['differs']> & { readonly refuses?: string };
}

/** One place in which two images differ; a side that is left out has nothing there. */
export interface Difference {
  readonly ours?: unknown;
  readonly theirs?: unknown;
  readonly reason: string;
}

/** Files of every context: path to text; a path ending in `/` is a directory, `-> target` a symbolic link, `#!` means 0755. */
export const CONTEXT: Readonly<Record<string, string>> = {
  'a.txt': 'alpha\n',
  'b.txt': 'bravo\n',
  'c.md': '# see\n',
  'run.sh': '#!/bin/sh\necho run "$@"\n',
  'dir/one': '1\n',
  'dir/two': '2\n',
  'dir/sub/three': '3\n',
  'dir/sub/deep/four': '4\n',
  'dir/empty/': '',
  'dir/link': '-> one',
  'dir/dangling': '-> nowhere',
  linkdir: '-> dir',
  linkfile: '-> a.txt',
  'spaced name.txt': 'space\n',
  'ünï.txt': 'unicode\n',
  'src/main.c': 'int main(void){return 0;}\n',
  'src/lib.h': '#define X 1\n',
  'src/vendor/v.c': 'v\n',
  'tmp/cache.bin': 'cache\n',
};

const MARK = 'file 755 0:0 0 e3b0c44298fc1c14 links 1';
const MARK_REASON = 'RUN leaves the places at which its own files were mounted';

/** What buildah leaves in an image with a RUN: empty files and a directory, the targets of mounts of its own. */
export const RUN_MARKS: Readonly<Record<string, Difference>> = {
  '/etc/hostname': { theirs: MARK, reason: MARK_REASON },
  '/etc/hosts': { theirs: MARK, reason: MARK_REASON },
  '/etc/resolv.conf': { theirs: MARK, reason: MARK_REASON },
  '/run': { theirs: 'dir 755 0:0', reason: MARK_REASON },
};

/** A directory that a mount needed. */
const STUB: Difference = {
  theirs: 'dir 755 0:0',
  reason: 'the directory made for a mount stays in the image',
};

const c = (
  name: string,
  lines: readonly string[],
  extra: Omit<DifferentialCase, 'name' | 'dockerfile'> = {},
): DifferentialCase => ({
  name,
  dockerfile: `${lines.join('\n')}\n`,
  ...extra,
});

export const CASES: readonly DifferentialCase[] = [
  c('scratch with one file', ['FROM scratch', 'COPY a.txt /a.txt']),
  c('scratch with metadata only', ['FROM scratch', 'COPY a.txt /', 'LABEL a=b', 'CMD ["/a"]']),
  c('copy a file to a directory', ['FROM base', 'COPY a.txt /data/']),
  c('copy a file to a new name', ['FROM base', 'COPY a.txt /data/renamed']),
  c('copy two files', ['FROM base', 'COPY a.txt b.txt /data/']),
  c('copy a directory copies its contents', ['FROM base', 'COPY dir /data']),
  c('copy a directory with a slash', ['FROM base', 'COPY dir/ /data/']),
  c('copy a directory with a dot', ['FROM base', 'COPY dir/. /data/']),
  c('copy everything', ['FROM base', 'COPY . /all/']),
  c('copy wildcard', ['FROM base', 'COPY *.txt /data/']),
  c('copy wildcard with question mark', ['FROM base', 'COPY ?.txt /data/']),
  c('copy wildcard with class', ['FROM base', 'COPY [ab].txt /data/']),
  c('copy nested wildcard', ['FROM base', 'COPY src/*.c /data/']),
  c('copy wildcard that matches directories', ['FROM base', 'COPY d* /data/']),
  c('copy through a link to a directory', ['FROM base', 'COPY linkdir/one /data/']),
  c('copy a link to a file copies the file', ['FROM base', 'COPY linkfile /data/']),
  c('copy json form with a blank', ['FROM base', 'COPY ["spaced name.txt", "/data/"]']),
  c('copy a unicode name', ['FROM base', 'COPY ünï.txt /data/']),
  c('copy relative to the working directory', [
    'FROM base',
    'WORKDIR /w/x',
    'COPY a.txt .',
    'COPY b.txt ../y/',
  ]),
  c('copy over an existing file', ['FROM base', 'COPY a.txt /f', 'COPY b.txt /f']),
  c('copy a directory onto a directory', ['FROM base', 'COPY dir /d', 'COPY src /d']),
  c('copy with numeric owner', ['FROM base', 'COPY --chown=7:8 dir /d']),
  c('copy with named owner', [
    'FROM base',
    'RUN echo "app:x:500:600::/:/bin/sh" >> /etc/passwd',
    'COPY --chown=app a.txt /d/a',
  ]),
  c('copy with mode', ['FROM base', 'COPY --chmod=0640 a.txt /d/a'], {
    differs: {
      tree: {
        '/d': {
          ours: 'dir 640 0:0',
          theirs: 'dir 755 0:0',
          reason: 'directories that COPY makes on the way do not get the mode of --chmod',
        },
      },
    },
    docker: {
      tree: {
        '/d': {
          ours: 'dir 640 0:0',
          theirs: 'dir 755 0:0',
          reason: 'directories that COPY makes on the way do not get the mode of --chmod',
        },
      },
    },
  }),
  c('copy from a stage', [
    'FROM base AS one',
    'RUN mkdir /o && echo x > /o/x',
    'FROM base',
    'COPY --from=one /o /p',
  ]),
  c('copy from a stage by number', [
    'FROM base',
    'RUN echo x > /x',
    'FROM base',
    'COPY --from=0 /x /y',
  ]),
  c('copy from a stage keeps owners', [
    'FROM base AS one',
    'RUN echo x > /x && chown 5:6 /x && chmod 4711 /x',
    'FROM base',
    'COPY --from=one /x /y',
  ]),
  c('copy from a stage through a link', [
    'FROM base AS one',
    'RUN mkdir /real && echo x > /real/x && ln -s real /alias',
    'FROM base',
    'COPY --from=one /alias/x /y',
  ]),
  c('copy to a linked directory', [
    'FROM base',
    'RUN mkdir /real && ln -s /real /alias',
    'COPY a.txt /alias/',
  ]),
  c('unused stage is not built', [
    'FROM base AS broken',
    'RUN exit 9',
    'FROM base',
    'RUN echo fine > /fine',
  ]),
  c(
    'target stage',
    ['FROM base AS one', 'RUN echo 1 > /n', 'FROM base AS two', 'RUN echo 2 > /n'],
    { target: 'one' },
  ),
  c('stage on stage', [
    'FROM base AS one',
    'ENV A=1',
    'RUN echo 1 > /n',
    'FROM one',
    'ENV B=$A$A',
    'RUN echo $B > /m',
  ]),
  c('run shell form', ['FROM base', 'RUN echo hello > /h && mkdir -p /x/y']),
  c('run exec form', ['FROM base', 'RUN ["/bin/sh", "-c", "echo $0 > /h"]']),
  c('run with continuation and comments', [
    'FROM base',
    'RUN echo a \\',
    '# comment',
    '  b \\',
    '  c > /h',
  ]),
  c('run as user', [
    'FROM base',
    'RUN mkdir -m 777 /w',
    'USER 12:13',
    'RUN touch /w/mine && id -u > /w/uid',
  ]),
  c('run in working directory', ['FROM base', 'WORKDIR /some/where', 'RUN pwd > here']),
  c('run removes a file', ['FROM base', 'COPY dir /d', 'RUN rm -r /d/sub /d/one']),
  c('run replaces a directory by a file', [
    'FROM base',
    'COPY dir /d',
    'RUN rm -r /d && echo f > /d',
  ]),
  c('run recreates a removed directory', [
    'FROM base',
    'COPY dir /d',
    'RUN rm -r /d && mkdir /d && echo n > /d/new',
  ]),
  c('run makes links', ['FROM base', 'RUN echo x > /x && ln /x /hard && ln -s x /soft']),
  c('run changes modes only', ['FROM base', 'COPY a.txt /a', 'RUN chmod 4755 /a && chown 3:4 /a']),
  c('run makes a fifo', ['FROM base', 'RUN mkfifo /pipe']),
  c('run moves a directory', ['FROM base', 'COPY dir /d', 'RUN mv /d /e']),
  c('arg with default', ['FROM base', 'ARG WHO=world', 'RUN echo $WHO > /who']),
  c('arg given', ['FROM base', 'ARG WHO=world', 'RUN echo $WHO > /who'], { args: { WHO: 'you' } }),
  c('global arg in from', ['ARG B=base', 'FROM $B', 'RUN echo x > /x']),
  c('global arg declared again', ['ARG V=7', 'FROM base', 'ARG V', 'RUN echo $V > /v']),
  c('env in copy', ['FROM base', 'ENV D=/data N=a', 'COPY $N.txt ${D}/']),
  c('env forms', ['FROM base', 'ENV one two words', 'ENV A=1 B="2 3" C=4\\ 5', 'ENV A=9 D=$A']),
  c('env defaults', ['FROM base', 'ENV X=${NOPE:-dflt} Y=${X:+set} Z=${NOPE}']),
  c('labels', ['FROM base', 'LABEL a=1 b="x y"', 'LABEL a=2 "c d"=3']),
  c('cmd and entrypoint', [
    'FROM base',
    'CMD echo shell',
    'ENTRYPOINT ["/bin/echo"]',
    'CMD ["x", "y"]',
  ]),
  c('entrypoint resets inherited cmd', [
    'FROM base AS one',
    'CMD ["a"]',
    'FROM one',
    'ENTRYPOINT ["/bin/echo"]',
  ]),
  c('expose and volume', ['FROM base', 'EXPOSE 80 81/udp', 'VOLUME /v1 /v2', 'VOLUME ["/v3"]'], {
    differs: {
      tree: {
        '/v3': {
          theirs: 'dir 755 0:0',
          reason: 'the directory of the last VOLUME is made in the image',
        },
      },
    },
  }),
  c('user and stop signal', ['FROM base', 'USER 10:20', 'STOPSIGNAL SIGINT']),
  c('healthcheck', ['FROM base', 'HEALTHCHECK --interval=5s --timeout=3s --retries=4 CMD echo ok']),
  c('healthcheck none', ['FROM base', 'HEALTHCHECK NONE']),
  c('onbuild', ['FROM base', 'ONBUILD COPY a.txt /a', 'ONBUILD RUN echo x > /x']),
  c('onbuild of a stage', [
    'FROM base AS one',
    'ONBUILD COPY a.txt /a',
    'FROM one',
    'LABEL done=yes',
  ]),
  c('shell', ['FROM base', 'SHELL ["/bin/sh", "-ec"]', 'RUN echo x > /x']),
  c('workdir chain', ['FROM base', 'WORKDIR /a', 'WORKDIR b', 'WORKDIR c/../d']),
  c('workdir with env', ['FROM base', 'ENV R=/root2', 'WORKDIR $R/in']),
  c('add archive', ['FROM base', 'ADD archive.tar.gz /unpacked/']),
  c('add plain file', ['FROM base', 'ADD a.txt /d/']),
  c('ignore file', ['FROM base', 'COPY . /all/'], {
    ignore: '*.md\ndir/sub\n!dir/sub/three\ntmp\n',
  }),
  c('ignore everything but', ['FROM base', 'COPY . /all/'], {
    ignore: '*\n!a.txt\n!src\nsrc/vendor\n',
  }),
  c('ignore double star', ['FROM base', 'COPY . /all/'], { ignore: '**/*.c\n' }),
  c(
    'cache mount leaves nothing',
    ['FROM base', 'RUN --mount=type=cache,target=/cache echo x > /cache/x && cp /cache/x /kept'],
    { docker: { tree: { '/cache': STUB } } },
  ),
  c(
    'bind mount of the context',
    ['FROM base', 'RUN --mount=type=bind,source=dir,target=/in cat /in/one /in/two > /out'],
    { docker: { tree: { '/in': STUB } } },
  ),
  c('bind mount of a stage', [
    'FROM base AS one',
    'RUN echo s > /s',
    'FROM base',
    'RUN --mount=type=bind,from=one,source=/s,target=/t cat /t > /out',
  ]),
  c(
    'tmpfs mount',
    [
      'FROM base',
      'RUN --mount=type=tmpfs,target=/scratch echo x > /scratch/x && ls /scratch > /out',
    ],
    { docker: { tree: { '/scratch': STUB } } },
  ),
  c('lower-case instructions', ['from base', 'copy a.txt /a', 'run echo x > /x']),
  c('escape directive', ['# escape=`', 'FROM base', 'RUN echo a `', '  b > /x']),
  c('parallel stages', [
    'FROM base AS s1',
    'RUN echo 1 > /o',
    'FROM base AS s2',
    'RUN echo 2 > /o',
    'FROM base AS s3',
    'RUN echo 3 > /o',
    'FROM base',
    'COPY --from=s1 /o /1',
    'COPY --from=s2 /o /2',
    'COPY --from=s3 /o /3',
  ]),
];
