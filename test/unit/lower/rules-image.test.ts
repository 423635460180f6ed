import { config } from '../../rig/lowering.ts';
import { testRules } from '../../rig/rules.ts';

testRules([
  {
    rule: 'labels of the build go over those of the file and of the base',
    file: 'FROM a\nLABEL a=file b=file\n',
    ask: { labels: { b: 'build', c: 'build' } },
    image: { ...config, config: { Labels: { a: 'base', z: 'base' } } },
    want: { config: { Labels: { a: 'file', b: 'build', c: 'build', z: 'base' } } },
  },
  {
    rule: 'ports are ranges with protocols in small letters, told in the order of the words',
    file: 'FROM a\nEXPOSE 9 80-81/TCP 53/udp 127.0.0.1:5000:5001\n',
    want: {
      config: {
        Cmd: ['sh'],
        ExposedPorts: {
          '5001/tcp': {},
          '53/udp': {},
          '80/tcp': {},
          '81/tcp': {},
          '9/tcp': {},
        },
      },
      history: ['EXPOSE [5001/tcp 53/udp 80/tcp 81/tcp 9/tcp]'],
      warnings: [
        "ExposeInvalidFormat: EXPOSE instruction should not define an IP address or host-port mapping, found '127.0.0.1:5000:5001'",
        "ExposeProtoCasing: Defined protocol '80-81/TCP' in EXPOSE instruction should be lowercase",
      ],
    },
  },
  ...(
    [
      ['a/b', 'invalid containerPort: a'],
      ['80/xyz', 'invalid proto: xyz'],
      ['x:80', 'invalid hostPort: x'],
      ['1-2:80-90', 'invalid ranges specified for container and host Ports: 80-90 and 1-2'],
    ] as const
  ).map(([word, error]) => ({
    rule: `EXPOSE ${word} is refused`,
    file: `FROM a\nEXPOSE ${word}\n`,
    want: { error },
  })),
  {
    rule: 'a volume needs a path',
    file: 'FROM a\nVOLUME [""]\n',
    want: {
      error: 'dockerfile parse error on line 2: VOLUME specified can not be an empty string',
    },
  },
  {
    rule: 'a signal is kept as it is written',
    file: 'FROM a\nSTOPSIGNAL SIGRTMIN+3\n',
    want: { config: { Cmd: ['sh'], StopSignal: 'SIGRTMIN+3' } },
  },
  {
    rule: 'SHELL counts for what stands below it, and in the image',
    file: 'FROM a\nRUN one\nSHELL ["/s","-x"]\nRUN two\nCMD three\n',
    want: {
      runs: [
        ['/bin/sh', '-c', 'one'],
        ['/s', '-x', 'two'],
      ],
      config: { Cmd: ['/s', '-x', 'three'], ArgsEscaped: true, Shell: ['/s', '-x'] },
    },
  },
  {
    rule: 'ENTRYPOINT takes the CMD of a base away',
    file: 'FROM a\nENTRYPOINT ["e"]\n',
    want: { config: { Entrypoint: ['e'] } },
  },
  {
    rule: 'ENTRYPOINT leaves a CMD of the same stage',
    file: 'FROM a\nCMD ["c"]\nENTRYPOINT ["e"]\n',
    want: { config: { Entrypoint: ['e'], Cmd: ['c'], ArgsEscaped: true } },
  },
  {
    rule: 'ENTRYPOINT takes the CMD of an earlier stage away',
    file: 'FROM a AS s\nCMD ["c"]\nFROM s\nENTRYPOINT ["e"]\n',
    want: { config: { Entrypoint: ['e'], ArgsEscaped: true } },
  },
  {
    rule: 'of commands given again the last one counts, and the one before is warned of',
    file: 'FROM a\nCMD ["c"]\nCMD ["d"]\n',
    want: {
      config: { Cmd: ['d'], ArgsEscaped: true },
      warnings: [
        'MultipleInstructionsDisallowed: Multiple CMD instructions should not be used in the same stage because only the last one will be used',
      ],
    },
  },
  {
    rule: 'times of a health check are nanoseconds, and 0 is the default',
    file: 'FROM a\nHEALTHCHECK --interval=1m30s --timeout=0s --retries=2 CMD ["x"]\n',
    want: {
      config: {
        Cmd: ['sh'],
        Healthcheck: { Test: ['CMD', 'x'], Interval: 90_000_000_000, Retries: 2 },
      },
      history: [
        'HEALTHCHECK {Test:[CMD x] Interval:1m30s Timeout:0s StartPeriod:0s StartInterval:0s Retries:2}',
      ],
    },
  },
  {
    rule: 'a time of a health check below a millisecond is refused',
    file: 'FROM a\nHEALTHCHECK --interval=1us CMD x\n',
    want: {
      error: 'dockerfile parse error on line 2: Interval "interval" cannot be less than 1ms',
    },
  },
  {
    rule: 'retries of a health check are not negative',
    file: 'FROM a\nHEALTHCHECK --retries=-1 CMD x\n',
    want: { error: 'dockerfile parse error on line 2: --retries cannot be negative (-1)' },
  },
  {
    rule: 'MAINTAINER is the author',
    file: 'FROM a\nMAINTAINER me <m@x>\n',
    want: { history: ['MAINTAINER me <m@x>'] },
  },
  {
    rule: 'WORKDIR makes a directory in a layer of its own, and / is none',
    file: 'FROM a\nWORKDIR /a\nWORKDIR b/../c\nWORKDIR /\nRUN x\n',
    want: {
      files: ['mkdir /a', 'mkdir /a/c'],
      history: ['+ WORKDIR /a', '+ WORKDIR /a/c', 'WORKDIR /', '+ RUN /bin/sh -c x # buildkit'],
      where: ['/', ''],
    },
  },
  {
    rule: 'FROM and ONBUILD leave no history, ARG and metadata leave empty entries',
    file: 'FROM a\nARG A\nONBUILD RUN x\nUSER u\nLABEL a="b c"\n',
    want: { history: ['ARG A', 'USER u', 'LABEL a=b c'] },
  },
  {
    rule: 'the history of a RUN tells each declared argument once, with the value it has there',
    file: 'FROM a\nARG A=1\nARG B=2\nARG A=3\nRUN x\n',
    want: {
      history: ['ARG A=1', 'ARG B=2', 'ARG A=3', '+ RUN |2 A=3 B=2 /bin/sh -c x # buildkit'],
    },
  },
  {
    rule: 'the history of a COPY tells what is copied, and not from where or what not',
    file: 'FROM a\nCOPY --from=b --link --exclude=x --parents --chown=1 --chmod=2 y /z/\n',
    want: { history: ['+ COPY --parents --chown=1 --chmod=2 y /z/ # buildkit'] },
  },
]);
