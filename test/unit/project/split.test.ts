import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { renderFailure } from '../../../src/base/index.ts';
import {
  editPools,
  itemName,
  listItems,
  listText,
  type Project,
  parseProjectFile,
  piecesOf,
  splitPools,
} from '../../../src/project/index.ts';

const LISTS: Readonly<Record<string, readonly string[]>> = {
  'a.txt': ['cold', 'hot'],
  'b.txt': ['rare', 'warm'],
};

function parsed(text: string): Project {
  const project = parseProjectFile({ path: 'varve.yml', text }, {});
  assert.ok(project.ok, project.ok ? '' : renderFailure(project.error));
  return project.value;
}

/** The file after its pools became groups of the parts with these names; those that are named last change most. */
function edited(text: string, ...groups: readonly (readonly string[])[]): string {
  const project = parsed(text);
  const { pools } = splitPools(project, (list) => LISTS[list] ?? []);
  const changes = pools.map((pool) => {
    const ids = groups
      .map((names) => pool.units.filter(({ name }) => names.includes(name)).map(({ id }) => id))
      .filter((group) => group.length > 0);
    const pieces = piecesOf(pool, ids, {
      rate: (group) => ids.findIndex((each) => each[0] === group[0]),
      taken: new Set(project.layers.keys()),
    });
    return { pool, pieces };
  });
  const done = editPools(project, changes, {});
  return done.ok ? done.value.text : renderFailure(done.error);
}

describe('layers that are put together anew', () => {
  test('a line of a list stands for a package, whatever else it says', () => {
    const names = {
      'NumPy==1.2': 'numpy',
      'torch >= 2': 'torch',
      'foo_bar[extra]~=1; python_version > "3"': 'foo-bar',
      'pkg @ https://example.test/pkg-1.0.whl': 'pkg',
      'git+https://example.test/team/sam2.git@main#egg=x': 'sam2',
      'https://example.test/w/flash_attn-2.8.3-cp314.whl': 'flash-attn',
      '@scope/name@1.2': '@scope/name',
      'libc6=2.36': 'libc6',
      '--extra-index-url https://example.test': undefined,
    };
    assert.deepEqual(Object.fromEntries(Object.keys(names).map((l) => [l, itemName(l)])), names);
    assert.deepEqual(
      [...listItems('b==1\n# c\na>1\nb==2; x\n-r y\n')],
      [
        ['a', 'a>1\n'],
        ['b', 'b==1\nb==2; x\n'],
      ],
    );
  });

  test('the parts of a list are the list: every package is in one, options are in all', () => {
    const text = '--pre\nA_b==1\nc\n\n# d\ne # why\n';
    assert.deepEqual(
      [listText(text, { only: ['a-B', 'e'] }), listText(text, { except: ['a.b', 'e'] })],
      ['--pre\nA_b==1\ne\n', '--pre\nc\n'],
    );
  });

  test('layers with one recipe change packages, a layer without packages goes, and comments stay', () => {
    assert.equal(
      edited(
        `name: x
layers:
  low: {steps: [make]}

  # first
  one: # here
    needs: [low]
    inputs:
      # two lists
      lists: [a.txt]
    steps: [install]   # both do

  # second
  two: {needs: [low], inputs: {lists: [b.txt]}, steps: [install]}
  # above
  top:
    needs:
      # of packages
      - one
      - two # and this
    steps: [check]
images: {i: {layers: [top]}}
groups: {all: [one, two]}
`,
        ['cold', 'rare', 'warm', 'hot'],
      ),
      `name: x
layers:
  low: {steps: [make]}

  # first
  one: # here
    needs: [low]
    inputs:
      # two lists
      lists: [a.txt, b.txt]
    steps: [install]   # both do

  # second
  # above
  top:
    needs:
      # of packages
      - one
    steps: [check]
images: {i: {layers: [top]}}
groups: {all: [one]}
`,
    );
  });

  test('copies become layers of their own; in a file of one line too', () => {
    assert.equal(
      edited(
        'name: x\nlayers: {a: {inputs: {files: [src, data]}, steps: [{copy: ./data/, to: /d}, {env: {A: b}}, {copy: src, to: /s}]}}\nimages: {i: {layers: [a]}}\n',
        ['./data/ to /d'],
        ['src to /s'],
      ),
      'name: x\nlayers: {a: {inputs: {files: [data]}, steps: [{copy: ./data/, to: /d}, {env: {A: b}}]}, a-2: {inputs: {files: [src]}, steps: [{env: {A: b}}, {copy: src, to: /s}]}}\nimages: {i: {layers: [a, a-2]}}\n',
    );
  });

  test('downloads of a layer go with every part of it, wherever they are written', () => {
    const urls = `urls: [{url: "https://example.test/tool", sha256: ${'a'.repeat(64)}}]`;
    assert.equal(
      edited(
        `name: x\nlayers:\n  one: {inputs: {lists: [a.txt], ${urls}}, steps: [i]}\n`,
        ['cold'],
        ['hot'],
      ),
      `name: x
layers:
  one: {inputs: {lists: [{list: a.txt, only: [cold]}], ${urls}}, steps: [i]}
  one-2: {inputs: {lists: [{list: a.txt, except: [cold]}], ${urls}}, steps: [i]}
`,
    );
  });

  test('a list that is inherited is not edited, and the layer is shown', () => {
    assert.equal(
      edited(
        'name: x\nlayers:\n  _all: {inputs: {lists: [a.txt]}}\n  one: {inherits: _all, steps: [i]}\n',
        ['cold'],
        ['hot'],
      ),
      `error[PJ014]: layer "one" cannot be edited where it is written
 --> varve.yml:4:8
  |
4 |   one: {inherits: _all, steps: [i]}
  |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^ help: write its inputs in the layer itself, without anchors and not inherited; or make the change by hand`,
    );
  });

  test('what cannot be parted says why', () => {
    const { kept } = splitPools(
      parsed(`name: x
layers:
  a: {steps: [make]}
  b: {inputs: {files: [src]}, steps: [make]}
  c: {inputs: {files: [src], lists: [a.txt]}, steps: [make]}
  d: {inputs: {files: ["*.py"]}, steps: [{copy: "*.py", to: /}]}
  e: {inputs: {lists: [a.txt]}, steps: [{env: {PATH: "/e:$PATH"}}, install]}
  f: {inputs: {lists: [a.txt]}, steps: [install]}
  g: {uses: [f], recipe: "COPY --from=f / /"}
  h: {inputs: {files: [src]}, steps: [{copy: src, to: /}]}
  i: {inputs: {lists: [a.txt]}, packages: {suite: bookworm}}
`),
      (list) => LISTS[list] ?? [],
    );
    assert.deepEqual(Object.fromEntries(kept), {
      a: 'has no lists and no files',
      b: 'has commands: which files each reads is not declared',
      c: 'is made from lists and files',
      d: 'copies patterns',
      e: 'sets a variable to a value that has another one in it',
      f: 'is copied from under its name',
      g: 'has no lists and no files',
      h: 'has one part only',
      i: 'is a whole root file system',
    });
  });
});
