import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { sha256 } from '../../src/base/index.ts';
import { BrowserPage, needsChromium } from '../rig/chromium.ts';
import { note } from '../rig/golden.ts';
import { BUSYBOX, needsSteps, Rig } from '../rig/rig.ts';

const FILE = `${BUSYBOX}COPY code /code
RUN busybox chown -R 5 /code && echo built > /out
`;

async function builtTwice(): Promise<Rig> {
  const rig = new Rig();
  rig.context('app', { Dockerfile: FILE, 'code/a': 'one\n', 'code/b': 'two\n' });
  for (const [tag, text] of Object.entries({ 'app:1': 'one\n', 'app:2': 'other\n' })) {
    rig.write('app/code/a', text);
    const run = await rig.varve(['build', '-q', '-t', tag, 'app']);
    assert.equal(run.status, 0, run.stderr);
  }
  return rig;
}

/** The size in the header of a PNG file (PNG 3rd edition, 11.2.1). */
const sizeOfPng = (png: Buffer): readonly number[] => [png.readUInt32BE(16), png.readUInt32BE(20)];

/** The contrast of every text of the page with what is behind it (WCAG 2.2, 1.4.3). */
const CONTRASTS = `() => {
  const channels = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (at) => {
    for (let e = at; e; e = e.parentElement) {
      const colour = channels(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement;
    const text = texts.currentNode.data.trim();
    const shown = e.checkVisibility() && text !== '';
    if (!shown || e.tagName === 'STYLE') continue;
    // Text on the marks of the map of layers is drawn on their colour, which is no background of an element.
    const svg = e.closest('svg');
    const own = svg === null ? channels(getComputedStyle(e).color) : channels(getComputedStyle(e.closest('text')).fill);
    const back = behind(svg ?? e);
    if (svg !== null && svg.closest('.marks') !== null) continue;
    const [a, b] = [light(own), light(back)].sort((x, y) => y - x);
    found.push([text.slice(0, 40), (a + 0.05) / (b + 0.05)]);
  }
  return found;
}`;

/** The element that has the focus, as its tag and text. */
const FOCUSED =
  '(({ tagName, textContent, ariaLabel }) => `${tagName.toLowerCase()} ${(ariaLabel ?? textContent).trim().slice(0, 60)}`)(document.activeElement)';

/** Roles and names as readers of screens are told them. */
async function rolesOf(
  page: BrowserPage,
): Promise<readonly (readonly [role: string, name: string])[]> {
  // The protocol's accessibility tree.
  const { nodes } = (await page.call('Accessibility.getFullAXTree')) as {
    readonly nodes: readonly {
      readonly ignored: boolean;
      readonly role?: { readonly value: string };
      readonly name?: { readonly value: string };
    }[];
  };
  return nodes
    .filter(({ ignored }) => !ignored)
    .map(({ role, name }) => [role?.value ?? '', name?.value ?? ''] as const);
}

/** Screenshots are kept for people where `VARVE_SCREENSHOTS` names a directory. */
function writeShot(name: string, png: Buffer): void {
  const dir = process.env['VARVE_SCREENSHOTS'];
  if (dir !== undefined) writeFileSync(join(dir, `${name}.png`), png);
}

describe('varve report', { skip: needsSteps }, () => {
  test('prints what the history of real builds says', async () => {
    await using rig = await builtTwice();
    const run = await rig.varve(['report', '--format', 'markdown']);
    assert.equal(run.status, 0, run.stderr);
    const lasting = run.stdout
      .replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d UTC/g, 'WHEN')
      .replace(/last build [0-9a-f]+/, 'last build B')
      .replaceAll(/\d+\.\d+ s/g, 'T')
      .replaceAll(/\d+\.\d MB/g, 'SIZE');
    const section = (title: string): string | undefined =>
      lasting
        .split(/^## /m)
        .find((part) => part.startsWith(title))
        ?.trimEnd();
    assert.equal(
      section('Causes'),
      'Causes of misses\n\n| what changed | kind | builds | cost |\n| --- | --- | --- | --- |\n| code/a | file | 1 | T |',
    );
    assert.match(
      section('# Varve') ?? lasting,
      /WHEN; last build B: 2 steps found, 2 ran, T, T saved\./,
    );
    assert.equal(
      section('Layers'),
      `Layers

| layer | size | wasted |
| --- | --- | --- |
| COPY busybox /bin/sh \\# buildkit | SIZE | 0 B |
| COPY busybox /bin/busybox \\# buildkit | SIZE | 0 B |
| COPY code /code \\# buildkit | 10 B | 10 B |
| RUN /bin/sh -c busybox chown -R 5 /code && echo built \\> /out \\# buildkit | 16 B | 0 B |`,
    );
  });

  test('makes a page that a browser draws, light and dark, usable by keyboard and by readers of screens', {
    skip: needsChromium,
  }, async () => {
    await using rig = await builtTwice();
    const made = await rig.varve(['report', '-o', 'r.html']);
    assert.deepEqual(made, { status: 0, stdout: '', stderr: 'wrote r.html\n' });
    await using page = await BrowserPage.open(`file://${rig.work}/r.html`, rig.root);
    const shots: Buffer[] = [];
    const contrast: number[] = [];
    for (const scheme of ['light', 'dark'] as const) {
      await page.prefer(scheme);
      const png = await page.screenshot();
      shots.push(png);
      writeShot(`report-${scheme}`, png);
      // Numbers, by the function above.
      const ratios = (await page.evaluate(`(${CONTRASTS})()`)) as readonly (readonly [
        string,
        number,
      ])[];
      assert.deepEqual(
        ratios.filter(([, ratio]) => ratio < 4.5),
        [],
      );
      contrast.push(Math.min(...ratios.map(([, ratio]) => ratio)));
    }
    assert.deepEqual(
      shots.map((png) => sizeOfPng(png)[0]),
      [1000, 1000],
    );
    // A blank page of this size is a few kilobytes.
    assert.deepEqual(
      shots.map(({ length }) => length > 40_000),
      [true, true],
    );
    assert.notEqual(sha256(shots[0] ?? ''), sha256(shots[1] ?? ''));

    const roles = await rolesOf(page);
    assert.deepEqual(
      {
        once: ['banner', 'navigation', 'main'].map(
          (role) => roles.filter(([each]) => each === role).length,
        ),
        unnamed: roles.filter(
          ([role, name]) =>
            /^(?:link|region|table|navigation|heading|figure)$/.test(role) &&
            name === '' &&
            role !== 'table' &&
            role !== 'figure',
        ),
        headings: roles
          .filter(([role]) => role === 'heading')
          .map(([, name]) => name)
          .slice(1),
      },
      {
        once: [1, 1, 1],
        unnamed: [],
        headings: [
          ...['Summary', 'Time line of the last build', 'Graph', 'Layers', 'Files'],
          ...[
            'Builds over time',
            'Causes of misses',
            'Steps over time',
            'Branches',
            'The store',
            'Advice',
          ],
        ],
      },
    );
    const order: string[] = [];
    for (let i = 0; i < 40; i++) {
      await page.press('Tab');
      const at = String(await page.evaluate(FOCUSED));
      if (at.startsWith('body')) break;
      order.push(at);
    }
    const first = order.findIndex((each) => each.startsWith('summary 1 COPY busybox'));
    assert.deepEqual(
      {
        skip: order[0],
        links: order.slice(1, 11).every((each) => each.startsWith('a ')),
        layers: order
          .slice(first, first + 4)
          .map((each) => each.replace(/ \d.*$/, '').slice(0, 24)),
      },
      {
        skip: 'a Skip to the report',
        links: true,
        layers: ['summary', 'summary', 'summary', 'summary'],
      },
    );
    // A layer is opened by Enter where the focus is.
    await page.evaluate("document.querySelector('.tree summary').focus()");
    await page.press('Enter');
    assert.equal(await page.evaluate("document.querySelector('.tree details').open"), true);
    note(
      `contrast of text at least ${contrast.map((ratio) => ratio.toFixed(1)).join(' (light) and ')} (dark); ${order.length} stops of the tab key; ${roles.length} named parts`,
    );
  });

  test('image diff names what differs, and ends like diff(1)', async () => {
    await using rig = await builtTwice();
    const [same, other] = [
      await rig.varve(['image', 'diff', 'app:1', 'app:1']),
      await rig.varve(['image', 'diff', 'app:1', 'app:2']),
    ];
    assert.deepEqual(same, {
      status: 0,
      stdout: 'the images have the same files and configuration\n',
      stderr: '',
    });
    assert.deepEqual(other, {
      status: 1,
      stdout: 'files\n  C   code/a   +2B   content\n\n0 added, 0 removed, 1 changed: +2B\n',
      stderr: '',
    });
  });

  test('image layers --tree shows what each layer adds, writes again and removes, and what is wasted', async () => {
    await using rig = new Rig();
    rig.context('app', {
      Dockerfile: `${BUSYBOX}COPY code /code\nRUN busybox chown 5 /code/deep/er/a && busybox rm /code/b\n`,
      ...{ 'code/deep/er/a': 'four', 'code/b': 'two', 'code/c': 'x' },
    });
    const built = await rig.varve(['build', '-q', '-t', 'app:1', 'app']);
    assert.equal(built.status, 0, built.stderr);
    const tree = async (...args: readonly string[]): Promise<string> => {
      const run = await rig.varve(['image', 'layers', '--tree', ...args, 'app:1']);
      assert.deepEqual([run.status, run.stderr], [0, '']);
      return run.stdout.replace(/^4 layers.*$/m, 'SUM');
    };
    assert.equal(
      (await tree('--layer', '3')) +
        (await tree('--layer', '4', '--path', '/code/', '--depth', '9')),
      `layer 3: 8B (7B wasted)  COPY code /code # buildkit
A        8B  code/  (3)  7B wasted
A        4B    deep/  (1)  4B wasted
A        3B    b  3B wasted
A        1B    c

SUM
layer 4: 4B  RUN /bin/sh -c busybox chown 5 /code/deep/er/a && busybox rm /code/b # buildkit
C        4B  deep/  (1)
C        4B    er/  (1)
C        4B      a
D        0B  b

SUM
`,
    );
    const json = await rig.varve(['image', 'layers', '--tree', '--json', '--layer', '4', 'app:1']);
    assert.match(
      json.stdout,
      /"path":"code\/b","type":"removed","size":0,"mark":"D","wasted":false/,
    );
  });
});
