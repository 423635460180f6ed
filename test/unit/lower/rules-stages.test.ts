import { config, digest } from '../../rig/lowering.ts';
import { testRules } from '../../rig/rules.ts';

const image = (name: string): string => `docker-image://docker.io/library/${name}@${digest}`;

testRules([
  {
    rule: 'a stage name is a letter and then letters, digits, dashes, underlines and dots',
    file: 'FROM scratch AS 1a\n',
    want: {
      error:
        'dockerfile parse error on line 1: invalid name for build stage: "1a", name can\'t start with a number or contain symbols',
    },
  },
  {
    rule: 'of stages with one name the later one is meant behind it',
    file: 'FROM a AS s\nFROM b AS s\nFROM scratch\nCOPY --from=s /x /y\n',
    want: {
      sources: [image('b:latest')],
      warnings: ['DuplicateStageName: Duplicate stage name "s", stage names should be unique'],
    },
  },
  {
    rule: 'FROM compares stage names as they are, --from and --target without case',
    file: 'FROM a AS Base\nFROM b AS x\nCOPY --from=BASE /x /y\n',
    ask: { target: 'X' },
    want: { sources: [image('b:latest'), image('a:latest')] },
  },
  {
    rule: 'a platform that expands to nothing is refused with a suggestion',
    file: 'FROM --platform=$TARGETPLATFROM alpine\n',
    want: {
      error: 'empty platform value from expression $TARGETPLATFROM (did you mean TARGETPLATFORM?)',
    },
  },
  {
    rule: 'a platform whose variables cannot be expanded fails as one',
    file: 'FROM --platform=${X:?needed} alpine\n',
    want: {
      error:
        'failed to process arguments for platform : failed to process "${X:?needed}": X: needed',
    },
  },
  {
    rule: 'a named context takes the place of a whole stage, whose instructions count for nothing',
    file: 'FROM a AS s\nRUN never\nFROM s\n',
    ask: { contexts: { s: 'docker-image://other' } },
    want: { sources: [image('other:latest')], runs: [] },
  },
  {
    rule: 'a context for one platform goes before the one for all',
    file: 'FROM a\n',
    ask: { contexts: { a: 'docker-image://b', 'a::linux/amd64': 'docker-image://c' } },
    want: { sources: [image('c:latest')] },
  },
  {
    rule: 'scratch and context cannot be replaced',
    file: 'FROM scratch\nCOPY a /\n',
    ask: { contexts: { scratch: 'docker-image://b', context: 'docker-image://c' } },
    want: { sources: ['local://context'] },
  },
  {
    rule: 'a number of --from is the index of a stage',
    file: 'FROM a\nFROM scratch\nCOPY --from=0 /x /y\n',
    want: { sources: [image('a:latest')] },
  },
  {
    rule: 'an index that no stage has is refused',
    file: 'FROM scratch\nCOPY --from=7 /x /y\n',
    want: { error: 'invalid stage index 7' },
  },
  {
    rule: 'a stage that stands below cannot be copied from',
    file: 'FROM a AS x\nCOPY --from=build /x /y\nFROM b AS build\n',
    ask: { target: 'x' },
    want: {
      error: 'cannot copy from stage "build", it needs to be defined before current stage "x"',
    },
  },
  {
    rule: 'a stage that stands below cannot be mounted',
    file: 'FROM a AS x\nRUN --mount=from=build,target=/b x\nFROM b AS build\n',
    ask: { target: 'x' },
    want: {
      error:
        'cannot mount from stage "build" to "/b", stage needs to be defined before current command',
    },
  },
  {
    rule: 'a variable in from= of a mount is refused',
    file: 'FROM a\nARG V=b\nRUN --mount=from=$V,target=/b x\n',
    want: {
      error:
        "dockerfile parse error on line 3: 'from' doesn't support variable expansion, define alias stage instead",
    },
  },
  {
    rule: 'a child stage starts with file system, settings and history of its base',
    file: 'FROM a AS s\nENV A=1\nLABEL l=1\nUSER u\nWORKDIR /w\nCMD ["c"]\nSHELL ["s"]\nFROM s\nRUN x\n',
    want: {
      runs: [['s', 'x']],
      where: ['/w', 'u'],
      config: {
        Env: ['A=1'],
        User: 'u',
        Cmd: ['c'],
        WorkingDir: '/w',
        Labels: { l: '1' },
        ArgsEscaped: true,
        Shell: ['s'],
      },
      history: [
        'ENV A=1',
        'LABEL l=1',
        'USER u',
        '+ WORKDIR /w',
        'CMD ["c"]',
        'SHELL [s]',
        '+ RUN s x # buildkit',
      ],
    },
  },
  {
    rule: 'every stage has a PATH, also on a base that has none',
    file: 'FROM a\n',
    image: { ...config, config: { Env: ['A=1'] } },
    want: { config: { Env: ['A=1'] } },
  },
  {
    rule: 'system version and variant of a base stay where the target is the same system and names none',
    file: 'FROM a\n',
    ask: { platform: { OS: 'windows', Architecture: 'amd64' } },
    image: { ...config, os: 'windows', 'os.version': '10.0.1', variant: 'v2' },
    want: { platform: ['windows', 'amd64', 'v2', '10.0.1'] },
  },
  {
    rule: 'they do not stay where the target is another system',
    file: 'FROM a\n',
    ask: { platform: { OS: 'linux', Architecture: 'arm64' } },
    image: { ...config, os: 'windows', 'os.version': '10.0.1', variant: 'v2' },
    want: { platform: ['linux', 'arm64'] },
  },
  {
    rule: 'without a wish the image has the platform of its base, in the normal form',
    file: 'FROM a\n',
    image: { ...config, architecture: 'arm64', variant: 'v8' },
    want: { platform: ['linux', 'arm64'] },
  },
  {
    rule: 'triggers are not passed on to stages of the child',
    file: 'FROM a AS s\nFROM s\nRUN own\n',
    image: { ...config, config: { OnBuild: ['RUN trigger'] } },
    want: {
      runs: [
        ['/bin/sh', '-c', 'trigger'],
        ['/bin/sh', '-c', 'own'],
      ],
    },
  },
  {
    rule: 'a trigger may copy from a stage and from an image that the file never names',
    file: 'FROM scratch AS other\nFROM a\n',
    image: {
      ...config,
      config: { OnBuild: ['COPY --from=other /x /y', 'COPY --from=new /x /z'] },
    },
    want: {
      sources: [image('a:latest'), image('new:latest')],
      files: ['/x -> /y', '/x -> /z'],
    },
  },
  {
    rule: 'a trigger is split with the default escape character, and expanded with that of the file',
    file: '# escape=`\nFROM a\n',
    image: { ...config, config: { OnBuild: ['ENV A=a\\ b C=`$A'] } },
    want: { config: { Env: ['A=a\\ b', 'C=$A'] } },
  },
  {
    rule: 'FROM is no trigger',
    file: 'FROM a\nONBUILD FROM b\n',
    want: { error: "dockerfile parse error on line 2: FROM isn't allowed as an ONBUILD trigger" },
  },
  {
    rule: 'MAINTAINER is no trigger',
    file: 'FROM a\nONBUILD MAINTAINER b\n',
    want: {
      error: "dockerfile parse error on line 2: MAINTAINER isn't allowed as an ONBUILD trigger",
    },
  },
]);
