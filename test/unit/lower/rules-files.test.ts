import { digest } from '../../rig/lowering.ts';
import { testRules } from '../../rig/rules.ts';

const ignored = (name: string): string =>
  `CopyIgnoredFile: Attempting to Copy file "${name}" that is excluded by .dockerignore`;

testRules([
  {
    rule: 'a source stays in its root, and a slash at its end counts for nothing',
    file: 'FROM a\nCOPY ../../x y/ /d/\n',
    want: { files: ['/x -> /d/', '/y -> /d/'] },
  },
  {
    rule: 'a destination is below the working directory, with its slash and its dot as one',
    file: 'FROM a\nWORKDIR /w\nCOPY a b\nCOPY a c/\nCOPY a .\nCOPY a ../d/.\n',
    want: { files: ['mkdir /w', '/a -> /w/b', '/a -> /w/c/', '/a -> /w/', '/a -> /d/'] },
  },
  {
    rule: 'a destination that expands to nothing is the working directory',
    file: 'FROM a\nWORKDIR /w\nCOPY a $NONE\n',
    want: { files: ['mkdir /w', '/a -> /w'] },
  },
  {
    rule: 'a mode is octal up to 7777 or symbolic',
    file: 'FROM a\nCOPY --chmod=07777 a b\nCOPY --chmod=u=rwX,go=rX a b\nCOPY --chmod=0 a b\n',
    want: {
      files: ['/a -> /b (mode=7777)', '/a -> /b (mode=u=rwX,go=rX)', '/a -> /b (mode=0)'],
    },
  },
  {
    rule: 'a mode of more bits is refused',
    file: 'FROM a\nCOPY --chmod=17777 a b\n',
    want: {
      error: "invalid chmod parameter: '17777'. it should be octal string and between 0 and 07777",
    },
  },
  {
    rule: '--parents keeps what stands behind the pivot, and requires literal paths',
    file: 'FROM a\nCOPY --parents a/./b/c x/*/y /d/\n',
    want: {
      files: ['/a -> /d/ (include=b/c required=/a/b/c)', '/ -> /d/ (include=x/*/y)'],
    },
  },
  {
    rule: '--exclude may be given several times, with patterns that take files back',
    file: 'FROM a\nCOPY --exclude=**/*.o --exclude=!keep.o . /d/\n',
    want: { files: ['/ -> /d/ (exclude=**/*.o exclude=!keep.o)'] },
  },
  {
    rule: 'a variable in --from of COPY is refused',
    file: 'FROM a\nARG V=b\nCOPY --from=$V a b\n',
    want: {
      error:
        'variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround',
    },
  },
  {
    rule: 'ADD takes local archives apart unless it is told not to, COPY never does',
    file: 'FROM a\nADD a.tar /\nADD --unpack=false a.tar /\nCOPY a.tar /\n',
    want: { files: ['/a.tar -> / (unpack)', '/a.tar -> /', '/a.tar -> /'] },
  },
  {
    rule: 'ADD takes a download apart only where it is told to, and names it by its path',
    file: 'FROM a\nADD https://e.com/x/f.tgz?q /d/\nADD --unpack=true https://e.com/f.tgz /d/\nADD https://e.com/ /d/\n',
    want: { files: ['/f.tgz -> /d/', '/f.tgz -> /d/ (unpack)', '/__unnamed__ -> /d/'] },
  },
  {
    rule: 'an address without a scheme is a path',
    file: 'FROM a\nADD github.com/foo/bar /d/\n',
    want: {
      files: ['/github.com/foo/bar -> /d/ (unpack)'],
      sources: [`docker-image://docker.io/library/a:latest@${digest}`, 'local://context'],
    },
  },
  ...(
    [
      ['COPY https://e.com/f /d', "source can't be a URL for COPY"],
      ['COPY https://e.com/r.git /d', "source can't be a git ref for COPY"],
      [
        `ADD --checksum=sha256:${'0'.repeat(64)} a b /d/`,
        "checksum can't be specified for multiple sources",
      ],
      [`ADD --checksum=sha256:${'0'.repeat(64)} a /d/`, 'checksum requires HTTP(S) or Git sources'],
      [
        'ADD --keep-git-dir=true https://e.com/r.git?keep-git-dir=0 /d',
        'inconsistent keep-git-dir configuration',
      ],
    ] as const
  ).map(([line, error]) => ({
    rule: `refused: ${line.replace(/0{64}/, '0…')}`,
    file: `FROM a\n${line}\n`,
    want: { error },
  })),
  {
    rule: 'a source that the ignore file excludes is warned of, by its clean path',
    file: 'FROM a\nCOPY ./x/../secret ok /d/\nADD secret/f /d/\n',
    ignore: 'secret\n',
    want: {
      warnings: [
        ignored('secret'),
        'CopyIgnoredFile: Attempting to Add file "secret/f" that is excluded by .dockerignore',
      ],
    },
  },
  {
    rule: 'nothing is warned of where the ignore file takes files back',
    file: 'FROM a\nCOPY secret /d/\n',
    ignore: 'secret\n!secret/public\n',
    want: { warnings: [] },
  },
  {
    rule: 'the whole context is warned of only where a pattern excludes everything',
    file: 'FROM a\nCOPY . /d/\n',
    ignore: '*\n',
    want: { warnings: [ignored('.')] },
  },
  {
    rule: 'the whole context is not warned of for one pattern that would match its name',
    file: 'FROM a\nCOPY . /d/\n',
    ignore: '?\n',
    want: { warnings: [] },
  },
  {
    rule: 'an ignore file with a lone exclamation mark is refused',
    file: 'FROM a\nCOPY . /d/\n',
    ignore: '!\n',
    want: { error: 'illegal exclusion pattern: "!"' },
  },
  {
    rule: 'a mount has another target than the root, also where it is relative',
    file: 'FROM a\nWORKDIR /w\nRUN --mount=target=.. x\n',
    want: { error: 'invalid mount target "/"' },
  },
  ...(
    [
      ['type=foo,target=/x', 'unsupported mount type "foo"'],
      ['trget=/x', "unexpected key 'trget' in 'trget=/x' (did you mean target?)"],
      ['target', "invalid field 'target' must be a key=value pair"],
      ['target=/x,mode=1', 'mode not allowed for "bind" type mounts'],
      ['target=/x,sharing=locked', 'invalid cache sharing set for bind mount'],
      ['type=ssh,source=x', 'ssh does not support source'],
      ['type=secret', 'invalid secret mount. one of source, target required'],
      ['type=secret,id=a,src=b', "both source and id can't be set"],
      ['type=cache', 'invalid mount target "/"'],
    ] as const
  ).map(([mount, error]) => ({
    rule: `refused: --mount=${mount}`,
    file: `FROM a\nRUN --mount=${mount} x\n`,
    want: { error },
  })),
  {
    rule: 'SSH_AUTH_SOCK is the first agent, unless it is set',
    file: 'FROM a\nRUN --mount=type=ssh x\n',
    want: { env: ['SSH_AUTH_SOCK=/run/buildkit/ssh_agent.0'] },
  },
  {
    rule: 'SSH_AUTH_SOCK that is set stays',
    file: 'FROM a\nENV SSH_AUTH_SOCK=/mine\nRUN --mount=type=ssh x\n',
    want: { env: ['SSH_AUTH_SOCK=/mine'] },
  },
  {
    rule: 'a value of a secret in the name of a step is hidden',
    file: 'FROM scratch\nENV T=shown\nRUN --mount=type=secret,id=t,env=T echo $T\n',
    want: { steps: ['[stage-0 1/1] RUN --mount=type=secret,id=t,env=T echo ****'] },
  },
  {
    rule: 'a network mode that is unknown is refused',
    file: 'FROM a\nRUN --network=x y\n',
    want: { error: 'dockerfile parse error on line 2: invalid network mode "x"' },
  },
  {
    rule: 'a security mode that is unknown is refused',
    file: 'FROM a\nRUN --security=x y\n',
    want: { error: 'dockerfile parse error on line 2: security "x" is not valid' },
  },
]);
