import { digest } from '../../rig/lowering.ts';
import { testRules } from '../../rig/rules.ts';

testRules([
  {
    rule: 'all words of an instruction see the environment before it',
    file: 'FROM scratch\nENV abc=hello\nENV abc=bye def=$abc\nENV ghi=$abc\n',
    want: { config: { Env: ['abc=bye', 'def=hello', 'ghi=bye'], WorkingDir: '/' } },
  },
  {
    rule: 'commands are not expanded: RUN, CMD, ENTRYPOINT, SHELL, HEALTHCHECK',
    file: 'FROM alpine\nENV V=1\nRUN echo $V\nSHELL ["$V"]\nCMD ["$V"]\nENTRYPOINT ["$V"]\nHEALTHCHECK CMD $V\n',
    want: {
      runs: [['/bin/sh', '-c', 'echo $V']],
      config: {
        Env: ['V=1'],
        Cmd: ['$V'],
        Entrypoint: ['$V'],
        Healthcheck: { Test: ['CMD-SHELL', '$V'] },
        Shell: ['$V'],
        ArgsEscaped: true,
      },
    },
  },
  {
    rule: 'words of metadata are expanded, names of variables and labels too',
    file: 'FROM scratch\nENV V=v P="1 2"\nENV $V=1\nLABEL $V=$V\nEXPOSE $P\nUSER $V\nVOLUME /$V\nSTOPSIGNAL ${S:-9}\nWORKDIR /$V\n',
    want: {
      config: {
        Env: ['V=v', 'P=1 2', 'v=1'],
        User: 'v',
        ExposedPorts: { '1/tcp': {}, '2/tcp': {} },
        Volumes: { '/v': {} },
        WorkingDir: '/v',
        Labels: { v: 'v' },
        StopSignal: '9',
      },
    },
  },
  {
    rule: 'COPY expands sources, destination, owner and mode, and no exclusion',
    file: 'FROM alpine\nARG V=1\nCOPY --chown=$V --chmod=60$V --exclude=$V a$V /d$V/\n',
    want: {
      files: ['/a1 -> /d1/ (mode=601 exclude=$V)'],
      history: ['ARG V=1', '+ COPY --chown=1 --chmod=601 a1 /d1/ # buildkit'],
    },
  },
  {
    rule: 'FROM sees the arguments above the first FROM only',
    file: 'ARG A=one\nFROM alpine:$A AS x\nARG A=two\nFROM alpine:$A\n',
    want: {
      sources: [`docker-image://docker.io/library/alpine:one@${digest}`],
    },
  },
  {
    rule: 'an argument above FROM is seen in a stage that declares it again',
    file: 'ARG A=1\nARG B=2\nFROM alpine\nARG A\nRUN x\n',
    want: { env: ['A=1'] },
  },
  {
    rule: 'an argument without a value is not in the environment, an empty one is',
    file: 'FROM alpine\nARG A\nARG B=\nRUN x\n',
    want: { env: ['B='], history: ['ARG A', 'ARG B=', '+ RUN |2 A= B= /bin/sh -c x # buildkit'] },
  },
  {
    rule: 'a build argument goes over a default, which is not looked at then',
    file: 'FROM alpine\nARG A=${NO:?missing}\nRUN x\n',
    ask: { buildArgs: { A: 'given' } },
    want: { env: ['A=given'] },
  },
  {
    rule: 'a default that requires a variable fails with its words where no build argument is given',
    file: 'FROM alpine\nARG A=${NO:?missing}\n',
    want: { error: 'failed to process "${NO:?missing}": NO: missing' },
  },
  {
    rule: 'several arguments of one line see one another',
    file: 'ARG a=1 b=${a}2\nFROM alpine\nARG a b c="x y"\nRUN x\n',
    want: { env: ['a=1', 'b=12', 'c=x y'] },
  },
  {
    rule: 'an argument behind a variable of its name sets it for steps, and not in the image',
    file: 'FROM alpine\nENV A=env\nARG A=arg\nRUN x\n',
    want: {
      env: ['A=arg'],
      config: { Env: ['A=env'], Cmd: ['sh'] },
    },
  },
  {
    rule: 'a variable behind an argument of its name hides it',
    file: 'FROM alpine\nARG A=arg\nENV A=env\nRUN x\n',
    want: {
      env: ['A=env'],
      history: ['ARG A=arg', 'ENV A=env', '+ RUN |1 A=env /bin/sh -c x # buildkit'],
    },
  },
  {
    rule: 'proxy settings are no variables of a step unless they are declared',
    file: 'FROM alpine\nRUN a\nARG http_proxy\nRUN b\n',
    ask: { buildArgs: { http_proxy: 'http://p' } },
    want: {
      env: ['http_proxy=http://p'],
      history: [
        '+ RUN /bin/sh -c a # buildkit',
        'ARG http_proxy=http://p',
        '+ RUN |1 http_proxy=http://p /bin/sh -c b # buildkit',
      ],
    },
  },
  {
    rule: 'arguments of the platforms are seen by a stage that declares them, and can be overridden',
    file: 'FROM alpine\nARG TARGETARCH TARGETVARIANT BUILDARCH TARGETSTAGE\nRUN x\n',
    ask: {
      platform: { OS: 'linux', Architecture: 'arm', Variant: 'v6' },
      buildArgs: { BUILDARCH: 'mine' },
    },
    want: { env: ['TARGETARCH=arm', 'TARGETVARIANT=v6', 'BUILDARCH=mine', 'TARGETSTAGE=default'] },
  },
  {
    rule: 'the platform of the build machine is named without its system version, the target with it',
    file: 'FROM scratch\nARG BUILDPLATFORM TARGETPLATFORM\nENV A=$BUILDPLATFORM B=$TARGETPLATFORM\n',
    ask: { buildPlatform: { OS: 'windows', Architecture: 'amd64', OSVersion: '10.0.1' } },
    want: {
      config: {
        Env: ['A=windows/amd64', 'B=windows(10.0.1)/amd64'],
        WorkingDir: '/',
      },
    },
  },
  {
    rule: 'a child stage has the arguments of its base in its steps and their history',
    file: 'FROM alpine AS base\nARG A=1\nFROM base\nRUN x\n',
    want: { env: ['A=1'], history: ['ARG A=1', '+ RUN |1 A=1 /bin/sh -c x # buildkit'] },
  },
  {
    rule: 'arguments for the scanner are declared and never in the environment',
    file: 'FROM alpine\nARG BUILDKIT_SBOM_SCAN_STAGE=true\nRUN x\n',
    want: { env: [] },
  },
  {
    rule: 'a variable set again keeps its place in the image and moves to the end for steps',
    file: 'FROM alpine\nENV A=1 B=2\nENV A=3\nRUN x\n',
    want: { env: ['B=2', 'A=3'], config: { Env: ['A=3', 'B=2'], Cmd: ['sh'] } },
  },
]);
