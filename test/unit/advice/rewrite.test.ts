import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ContextFacts, lintCaching, modelOf, rewrite } from '../../../src/advice/index.ts';
import { parseDockerfile, parseInstructions } from '../../../src/dockerfile/index.ts';

const file = (path: string, bytes = 10): ContextFacts['files'][number] => ({
  path,
  bytes,
  mode: 0o644,
});

const FACTS: ContextFacts = {
  files: [
    file('package.json'),
    file('package-lock.json'),
    file('src/index.js'),
    file('run.sh'),
    file('sub/requirements.txt'),
    file('sub/main.py'),
  ],
  hasIgnoreFile: false,
};

function model(text: string): ReturnType<typeof modelOf> {
  const parsed = parseDockerfile({ path: 'Dockerfile', text });
  assert.ok(parsed.ok);
  const instructions = parseInstructions(parsed.value);
  assert.ok(instructions.ok);
  return modelOf(parsed.value, instructions.value);
}

/** The text after rewrites of these kinds. */
function rewritten(text: string, ...kinds: readonly string[]): string {
  const facts = { context: FACTS, changing: new Set<string>() };
  return rewrite(model(text), facts, ({ kind }) => kinds.includes(kind)).text;
}

test('manifests are copied before an install that the sources stood above, and comments move with it', () => {
  assert.equal(
    rewritten(
      `# syntax=docker/dockerfile:1
FROM node:24
WORKDIR /app

# everything
COPY . .

# the packages
RUN npm ci \\
    --omit=dev
CMD ["node", "src/index.js"]
`,
      'install-first',
    ),
    `# syntax=docker/dockerfile:1
FROM node:24
WORKDIR /app

COPY package.json package-lock.json ./
# the packages
RUN npm ci \\
    --omit=dev
# everything
COPY . .

CMD ["node", "src/index.js"]
`,
  );
});

test('a manifest in a directory is copied to where the install looks for it', () => {
  assert.equal(
    rewritten(
      'FROM python:3\nWORKDIR /app\nCOPY . .\nRUN pip install -r sub/requirements.txt\n',
      'install-first',
    ),
    'FROM python:3\nWORKDIR /app\nCOPY sub/requirements.txt ./sub/\nRUN pip install -r sub/requirements.txt\nCOPY . .\n',
  );
});

test('an install stays below steps, changes of directory and copies that it needs', () => {
  for (const text of [
    'FROM a\nCOPY . .\nRUN make\nRUN npm ci\n',
    'FROM a\nCOPY . .\nWORKDIR /src\nRUN npm ci\n',
    'FROM a\nCOPY package.json package-lock.json ./\nRUN npm ci\n',
    'FROM a\nCOPY . .\nRUN pip install .\n',
  ])
    assert.equal(rewritten(text, 'install-first'), text);
});

test('a mode is set by the copy, and an unknown one is left alone', () => {
  assert.equal(
    rewritten('FROM a\nCOPY run.sh /bin/\nRUN chmod +x /bin/run.sh\n', 'copy-chmod'),
    'FROM a\nCOPY --chmod=0755 run.sh /bin/\n',
  );
  const other = 'FROM a\nCOPY run.sh /bin/\nRUN chmod g=u /bin/run.sh\n';
  assert.equal(rewritten(other, 'copy-chmod'), other);
});

test('a variable that changes with every build moves to what uses it', () => {
  assert.equal(
    rewritten(
      'FROM a\n# the commit\nARG GIT_SHA\nRUN make\nLABEL commit=$GIT_SHA\n',
      'variable-down',
    ),
    'FROM a\nRUN make\n# the commit\nARG GIT_SHA\nLABEL commit=$GIT_SHA\n',
  );
});

test('a Dockerfile that needs nothing stays as it is, byte by byte', () => {
  const text =
    'FROM a\r\nCOPY package.json ./\r\n\r\n  RUN --mount=type=cache,target=/root/.npm npm ci\r\n\r\n# end';
  assert.equal(
    rewritten(
      text,
      ...[
        'install-first',
        'copy-chmod',
        'copy-chown',
        'large-first',
        'variable-down',
        'cache-mount',
        'copy-link',
      ],
    ),
    text,
  );
});

test('each rule finds what it is for, and what is done right is left alone', () => {
  const found = (text: string): readonly string[] =>
    lintCaching(model(text), { context: FACTS }).map(({ rule }) => rule);
  const pinned = `a:1@sha256:${'0'.repeat(64)}`;
  const cases: Readonly<Record<string, readonly string[]>> = {
    'COPY . /app\nRUN --mount=type=cache,target=/root/.npm npm ci': [
      'context-before-install',
      'ignore-file',
    ],
    'COPY package*.json ./\nRUN --mount=type=cache,target=/root/.npm npm ci\nCOPY src src': [],
    'RUN apt-get update && apt-get install -y git=1': ['lists-kept', 'no-cache-mount'],
    'RUN apt-get update\nRUN apt-get install -y git=1 && rm -rf /var/lib/apt/lists/*': [
      'update-alone',
      'no-cache-mount',
    ],
    'RUN apk add --no-cache gcc=1 && make && apk del gcc': ['no-cache-mount'],
    'RUN apk add --no-cache gcc=1': ['build-tools-in-image', 'no-cache-mount'],
    'RUN pip install --no-cache-dir flask': ['no-cache-mount', 'unpinned-package'],
    'RUN curl -fsSL https://example.org/x | sh': ['unpinned-download'],
    'RUN curl -o x https://example.org/x && echo "0 x" | sha256sum -c': [],
    'RUN git clone https://example.org/x && git -C x checkout 0123': [],
    'RUN git clone https://example.org/x': ['unpinned-download'],
    'ARG BUILD_DATE\nRUN make': ['changing-variable-above-work'],
    'RUN make\nARG BUILD_DATE\nLABEL date=$BUILD_DATE': [],
    'COPY src /app/src\nRUN chown -R 1:1 /app': ['recursive-rights'],
    'ENV DB_PASSWORD=hunter2': ['secret-in-variable'],
    'ENV DB_PASSWORD_FILE=/run/secrets/db': [],
  };
  const seen = Object.fromEntries(
    Object.keys(cases).map((text) => [text, found(`FROM ${pinned}\n${text}\n`)]),
  );
  assert.deepEqual(seen, cases);
});
