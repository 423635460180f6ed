import { deepEqual, equal } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { note } from '../rig/golden.ts';
import { varveHere } from '../rig/in-process.ts';
import { BUSYBOX, needsSteps, Rig } from '../rig/rig.ts';

const ESC = '\x1b';
/** Sets the title, reads the clipboard, clears, colours in C1, turns text around, invisible marks, returns. */
const EVIL = `${ESC}]0;owned\x07${ESC}]52;c;b3duZWQ=${ESC}\\${ESC}[2J\x9b31m\x9d0;x\x9c\u202etxt\u2066x\u2069\u200f\u061c\r\x08\x7f`;
/** Control characters but for the ends of lines and tabs, and all marks that reorder text (UAX 9). */
const HOSTILE = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
const TAGS = '<script>alert(1)</script><img src=x onerror=alert(1)>"\'&';
const NAME = `n${EVIL.replaceAll('/', '')}${TAGS.replaceAll('/', '')}`;

/** Everything that prints what a store and a project say of themselves. */
const COMMANDS: readonly (readonly string[])[] = [
  ['history', 'ls'],
  ['history', 'show'],
  ['history', 'logs'],
  ['image', 'ls'],
  ['image', 'inspect', 'evil'],
  ['image', 'layers', 'evil'],
  ['image', 'diff', 'evil', 'good'],
  ['cache', 'df'],
  ['cache', 'df', '--verbose'],
  ['cache', 'ls'],
  ['cache', 'tree'],
  ['cache', 'prune', '--all', '--dry-run'],
  ['cache', 'gc', '--dry-run', '--max-used-space', '1'],
  ['cache', 'verify'],
  ['cache', 'why', `mount:${EVIL}`],
  ['why'],
  ['why', EVIL],
  ['lint', 'app/Dockerfile'],
  ['optimize', '--no-build', '-f', 'app/Dockerfile', 'app'],
  ['plan', 'app'],
  ['build', '--plan', 'app'],
  ['build', '--call=outline', 'app'],
  ['build', '--call=targets', 'app'],
  ['build', '--check', 'app'],
  ['build', '--json', 'app'],
  ['build', '--progress=rawjson', 'app'],
  ['history', 'ls', '--json'],
  ['history', 'show', '--json'],
  ['cache', 'ls', '--json'],
  ['cache', 'tree', '--json'],
  ['why', '--json'],
  ['lint', '--json', 'app/Dockerfile'],
  ['image', 'layers', '--json', 'evil'],
  ['build', '--target', EVIL, 'app'],
  ['build', '--build-arg', `A${EVIL}=1`, 'app'],
  ['build', '-f', `app/${EVIL}`, 'app'],
  ['build', `no${EVIL}`],
  ['build', '-t', EVIL, 'app'],
  ['build', `--${EVIL}`],
  ['build', '--output', `type=${EVIL}`, 'app'],
  ['build', '--cache-from', `type=${EVIL}`, 'app'],
  ['build', '--secret', `id=s,src=${EVIL}`, 'app'],
  ['build', '--platform', EVIL, 'app'],
  ['image', 'pull', EVIL],
  ['image', 'load', '-i', EVIL],
  ['image', 'rm', EVIL],
  ['cache', 'pin', EVIL],
  ['cache', 'why', EVIL],
  ['cache', 'ls', '--filter', `label=${EVIL}`],
  ['cache', 'ls', '--filter', EVIL],
  ['bake', EVIL],
  ['compose', EVIL],
  [EVIL],
  ['report', '--format', 'markdown'],
  ['report', '--format', 'prometheus'],
];

const dockerfile = (
  more: string,
): string => `${BUSYBOX}LABEL a="${EVIL.replaceAll(/[\r\\]/g, '')}" b="${TAGS.replaceAll('"', '')}"
ARG A="${EVIL.replaceAll(/[\r\\]/g, '')}"
ENV E="${TAGS.replaceAll('"', '')}"
COPY --chmod=644 n* /in/
RUN --mount=type=cache,id=${EVIL.replaceAll(/[\r\\,]/g, '')},target=/c printf '\\033]52;c;eA==\\007\\033[2J\\233${more}\\n'; : "${TAGS.replaceAll('"', '')}"
RUN : ${'very-long-'.repeat(2000)}
`;

test('no command prints escape sequences, control characters or marks that reorder text, whatever names hold', {
  skip: needsSteps,
}, async () => {
  await using rig = new Rig();
  const wrong: string[] = [];
  for (const [tag, more] of [
    ['good', 'v0'],
    ['evil', 'v1'],
  ] as const) {
    rig.context('app', {
      Dockerfile: dockerfile(more),
      [NAME]: more,
      [`n${'x'.repeat(240)}`]: 'x',
    });
    const made = await varveHere(rig, rig.work, ['build', '-t', tag, 'app']);
    equal(made.status, 0, made.stderr);
    if (HOSTILE.test(made.stdout + made.stderr)) wrong.push(`the build itself: ${made.stderr}`);
  }
  for (const args of COMMANDS) {
    const run = await varveHere(rig, rig.work, args);
    const text = run.stdout + run.stderr;
    const name = JSON.stringify(args.join(' '));
    if (run.status === 70) wrong.push(`${name}: crashed: ${run.stderr.slice(0, 500)}`);
    const found = HOSTILE.exec(text);
    if (found !== null)
      wrong.push(
        `${name}: ${JSON.stringify(text.slice(Math.max(0, found.index - 60), found.index + 60))}`,
      );
    const longest = Math.max(...run.stderr.split('\n').map((line) => line.length));
    // The names of steps are printed whole, as BuildKit prints them.
    if (longest > 5000 && args[0] !== 'build')
      wrong.push(`${name}: a line of ${longest} characters`);
  }
  deepEqual(wrong, []);
  note(`terminal: ${COMMANDS.length + 2} commands over hostile names print plain text`);
});

test('the report of hostile names has no markup but its own', { skip: needsSteps }, async () => {
  await using rig = new Rig();
  rig.context('app', { Dockerfile: dockerfile('v0'), [NAME]: 'x' });
  for (const more of ['v0', 'v1']) {
    rig.write('app/Dockerfile', dockerfile(more));
    equal((await varveHere(rig, rig.work, ['build', '-t', 'evil', 'app'])).status, 0);
  }
  const run = await varveHere(rig, rig.work, ['report', '-o', 'report.html']);
  equal(run.status, 0, run.stderr);
  const page = readFileSync(join(rig.work, 'report.html'), 'utf8');
  const tags = new Set(
    [...page.matchAll(/<\/?([a-zA-Z!][\w-]*)/g)].map((m) => (m[1] ?? '').toLowerCase()),
  );
  deepEqual(
    {
      scripts: /<script/i.test(page),
      handlers: /<[^>]*\son\w+\s*=/i.test(page),
      images: tags.has('img'),
      hostile: HOSTILE.exec(page)?.[0],
      shown: page.includes('&lt;script&gt;'),
    },
    { scripts: false, handlers: false, images: false, hostile: undefined, shown: true },
  );
});
