import { testRules } from '../../rig/rules.ts';

testRules([
  {
    rule: 'an escape directive that is repeated is refused',
    file: '# escape=\\\n# escape=`\nFROM scratch\n',
    want: { error: 'only one escape parser directive can be used' },
  },
  {
    rule: 'an escape directive is a backslash or a backtick',
    file: '# escape=x\nFROM scratch\n',
    want: { error: "invalid escape token 'x' does not match ` or \\" },
  },
  {
    rule: 'behind a comment that is no directive, directives are comments',
    file: '# note\n# escape=x\nFROM scratch\nENV A=a\\ b\n',
    want: { config: { Env: ['A=a b'], WorkingDir: '/' } },
  },
  {
    rule: 'an unknown directive ends the directives',
    file: '# other=1\n# escape=`\nFROM scratch\nENV A=a\\ b\n',
    want: { config: { Env: ['A=a b'], WorkingDir: '/' } },
  },
  {
    rule: 'a blank line ends the directives',
    file: '\n# escape=`\nFROM scratch\nENV A=a\\ b\n',
    want: { config: { Env: ['A=a b'], WorkingDir: '/' } },
  },
  {
    rule: 'a continued line is joined without a blank and with the blanks of the next line',
    file: 'FROM alpine\nRUN echo a\\\nb\\\n  c\n',
    want: { runs: [['/bin/sh', '-c', 'echo ab  c']] },
  },
  {
    rule: 'an escaped escape at the end of a line continues nothing',
    file: 'FROM alpine\nRUN echo a\\\\\nENV A=1\n',
    want: {
      runs: [['/bin/sh', '-c', 'echo a\\\\']],
      history: ['+ RUN /bin/sh -c echo a\\\\ # buildkit', 'ENV A=1'],
    },
  },
  {
    rule: 'inside a continued instruction comments are dropped, and blank lines with a warning',
    file: 'FROM alpine\nRUN a \\\n# no\n\n  b \\\n',
    want: {
      runs: [['/bin/sh', '-c', 'a   b']],
      warnings: ['NoEmptyContinuation: Empty continuation line'],
    },
  },
  {
    rule: 'a hash that does not begin a line is text',
    file: 'FROM alpine\nRUN echo a # b\n',
    want: { runs: [['/bin/sh', '-c', 'echo a # b']] },
  },
  {
    rule: 'an instruction that knows no flags refuses all',
    file: 'FROM alpine\nENV --x A=1\n',
    want: { error: 'dockerfile parse error on line 2: unknown flag: --x' },
  },
  {
    rule: 'ARG takes words that look like flags for flags, and ignores them',
    file: 'FROM alpine\nARG --x A=1\n',
    want: { history: ['ARG A=1'] },
  },
  {
    rule: 'a bare -- ends the flags',
    file: 'FROM alpine\nCOPY --chmod=600 -- --from /d/\n',
    want: { files: ['/--from -> /d/ (mode=600)'] },
  },
  {
    rule: 'a flag that is no list is given once',
    file: 'FROM alpine\nCOPY --chown=1 --chown=2 a b\n',
    want: { error: 'dockerfile parse error on line 2: duplicate flag specified: --chown' },
  },
  {
    rule: 'a flag with a text needs one',
    file: 'FROM alpine\nCOPY --chown a b\n',
    want: { error: 'dockerfile parse error on line 2: missing a value on flag: --chown' },
  },
  {
    rule: 'a flag that is yes or no takes true and false in any case, and nothing else',
    file: 'FROM alpine\nCOPY --link=maybe a b\n',
    want: {
      error:
        'dockerfile parse error on line 2: expecting boolean value for flag --link, not: maybe',
    },
  },
  {
    rule: 'text behind a JSON array makes a shell command of it',
    file: 'FROM alpine\nRUN ["a","b"]junk\n',
    want: { runs: [['/bin/sh', '-c', '["a","b"]junk']] },
  },
  {
    rule: 'an array with a number in it is refused',
    file: 'FROM alpine\nRUN ["a",1]\n',
    want: {
      error: 'when using JSON array syntax, arrays must be comprised of strings only',
    },
  },
  {
    rule: 'an empty array clears a command',
    file: 'FROM alpine\nCMD []\nENTRYPOINT []\n',
    want: { config: { ArgsEscaped: true } },
  },
  {
    rule: 'quotes keep no words of COPY together: an unmatched quote fails',
    file: 'FROM alpine\nCOPY "a b" c\n',
    want: {
      error:
        'failed to process "\\"a": unexpected end of statement while looking for matching double-quote',
    },
  },
  {
    rule: 'in ENV every word behind the first needs an equals sign',
    file: 'FROM alpine\nENV A=1 B\n',
    want: {
      error: 'Syntax error - can\'t find = in "B". Must be of the form: name=value',
    },
  },
  {
    rule: 'HEALTHCHECK knows CMD and NONE',
    file: 'FROM alpine\nHEALTHCHECK curl x\n',
    want: {
      error: 'dockerfile parse error on line 2: Unknown type "CURL" in HEALTHCHECK (try CMD)',
    },
  },
  {
    rule: 'a here-document is no destination',
    file: 'FROM alpine\nCOPY a <<EOF\nx\nEOF\n',
    want: {
      error: 'dockerfile parse error on line 2: COPY cannot accept a heredoc as a destination',
    },
  },
  {
    rule: 'a here-string is none of the here-documents',
    file: 'FROM alpine\nRUN cat <<<EOF\nENV A=1\n',
    want: { runs: [['/bin/sh', '-c', 'cat <<<EOF']] },
  },
  {
    rule: 'a here-document of COPY is a file named by its word, expanded unless the word is quoted',
    file: 'FROM alpine\nARG V=1\nCOPY <<A <<\'B\' /d/\n$V "q"\nA\n$V\nB\n',
    want: {
      files: ['/B 644: $V\n', '/A 644: 1 "q"\n', '/A -> /d/', '/B -> /d/'],
    },
  },
  {
    rule: 'the file that a here-document becomes has the mode that --chmod says',
    file: 'FROM alpine\nCOPY --chmod=700 <<A /d/x\n#!/bin/sh\nA\n',
    want: { files: ['/A 644: #!/bin/sh\n', '/A -> /d/x (mode=700)'] },
  },
]);
