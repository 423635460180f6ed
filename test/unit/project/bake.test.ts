import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { renderFailure, type SourceFile } from '../../../src/base/index.ts';
import { matchesName } from '../../../src/project/bake-merge.ts';
import { bakePrint, parseBakeFiles, parseOverrides } from '../../../src/project/index.ts';
import { note } from '../../rig/golden.ts';

type Json = Readonly<Record<string, unknown>>;

interface Case {
  readonly name: string;
  readonly files: readonly [Json, ...Json[]];
  readonly set?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** The resolved targets, without the context and Dockerfile that they have by default. */
  readonly targets: Json;
}

const CASES: readonly Case[] = [
  {
    name: 'maps of several files are merged, lists of names are replaced, caches add up',
    files: [
      {
        target: {
          a: {
            args: { A: '1', B: '1' },
            tags: ['one', 'two'],
            platforms: ['linux/amd64'],
            'cache-from': ['type=local,src=x'],
            secret: ['id=s'],
          },
        },
      },
      {
        target: {
          a: {
            args: { B: '2', A: null },
            tags: ['three'],
            'cache-from': ['type=local,src=x', { type: 'registry', ref: 'r' }],
            secret: [{ id: 't', src: 'f' }],
          },
        },
      },
    ],
    targets: {
      a: {
        args: { A: '1', B: '2' },
        tags: ['three'],
        'cache-from': ['type=local,src=x', 'type=registry,ref=r'],
        secret: ['id=s', 'id=t,src=f'],
        platforms: ['linux/amd64'],
      },
    },
  },
  {
    name: 'annotations, attestations and entitlements add up, and are set',
    files: [
      {
        target: {
          a: {
            annotations: ['x=1'],
            attest: ['type=sbom', { type: 'provenance', mode: 'min' }],
            entitlements: ['network.host'],
          },
        },
      },
      {
        target: { a: { annotations: 'index:y=2', attest: [{ type: 'provenance', mode: 'max' }] } },
      },
    ],
    set: ['a.annotations+=z=3', 'a.entitlements=security.insecure'],
    targets: {
      a: {
        annotations: ['x=1', 'index:y=2', 'z=3'],
        attest: ['type=sbom', 'type=provenance,mode=min', 'type=provenance,mode=max'],
        entitlements: ['security.insecure'],
      },
    },
  },
  {
    name: 'variables are those of the last file, and the environment wins',
    files: [
      {
        variable: { V: { default: '1' }, W: { default: 'w' } },
        target: { a: { args: { V: '${V}', W: '${W}' } } },
      },
      { variable: { V: { default: '2' } } },
    ],
    env: { W: 'env' },
    targets: { a: { args: { V: '2', W: 'env' } } },
  },
  {
    name: 'what is inherited lies below, later parents over earlier ones, and null gives way',
    files: [
      {
        target: {
          low: { args: { A: 'low', B: 'low' }, tags: ['low'], 'no-cache-filter': ['s'] },
          high: { args: { B: 'high' }, target: 'x', 'no-cache-filter': ['t'] },
          a: { inherits: ['low', 'high'], args: { A: null }, labels: { l: 1 } },
        },
      },
    ],
    targets: {
      a: {
        args: { A: 'low', B: 'high' },
        labels: { l: '1' },
        tags: ['low'],
        target: 'x',
        'no-cache-filter': ['s', 't'],
      },
      low: { args: { A: 'low', B: 'low' }, tags: ['low'], 'no-cache-filter': ['s'] },
      high: { args: { B: 'high' }, target: 'x', 'no-cache-filter': ['t'] },
    },
  },
  {
    name: 'an argument that is null leaves the default of the Dockerfile',
    files: [{ target: { a: { args: { A: null, B: 'b' } } } }],
    targets: { a: { args: { B: 'b' } } },
  },
  {
    name: 'objects of outputs, caches and secrets are what flags say',
    files: [
      {
        target: {
          a: {
            output: [{ type: 'local', dest: 'out' }, 'type=image'],
            'cache-to': [{ type: 'inline' }],
            ssh: ['default'],
            contexts: { base: 'target:b' },
            platforms: ['linux/amd64', 'linux/arm64'],
          },
          b: { 'dockerfile-inline': 'FROM scratch', pull: true, network: 'none' },
        },
      },
    ],
    targets: {
      a: {
        contexts: { base: 'target:b' },
        'cache-to': ['type=inline'],
        ssh: ['default'],
        platforms: ['linux/amd64', 'linux/arm64'],
        output: ['type=local,dest=out', 'type=image'],
      },
      b: { 'dockerfile-inline': 'FROM scratch', pull: true, network: 'none' },
    },
  },
  {
    name: '--set replaces keys of the targets that its pattern names; lists of several flags are whole',
    files: [
      {
        target: {
          'app-one': { args: { A: '1' }, tags: ['old'], 'cache-from': ['type=local,src=x'] },
          'app-two': { 'no-cache': true },
          other: { platforms: ['linux/amd64'] },
        },
      },
    ],
    set: [
      'app-*.args.A=$2',
      'app-one.tags=new',
      'app-one.tags=newer',
      'app-one.cache-from+=type=gha',
      'app-two.no-cache=false',
      '*.platform=linux/arm64',
      'oth?r.pull',
      '[a-o]ther.labels.x=y=z',
      'other.args.FROM_ENV',
    ],
    env: { FROM_ENV: 'here' },
    targets: {
      'app-one': {
        args: { A: '$2' },
        tags: ['new', 'newer'],
        'cache-from': ['type=local,src=x', 'type=gha'],
        platforms: ['linux/arm64'],
      },
      'app-two': { args: { A: '$2' }, platforms: ['linux/arm64'] },
      other: {
        args: { FROM_ENV: 'here' },
        labels: { x: 'y=z' },
        platforms: ['linux/arm64'],
        pull: true,
      },
    },
  },
  {
    name: 'what is set of a parent is inherited; the builds of a matrix are set by their own names',
    files: [
      {
        target: {
          base: { args: { A: '1' } },
          a: { inherits: ['base'] },
          many: { name: 'many-${n}', matrix: { n: ['1', '2'] }, args: { N: '${n}' } },
        },
      },
    ],
    set: ['base.args.A=2', 'many-2.args.N=two'],
    targets: {
      base: { args: { A: '2' } },
      a: { args: { A: '2' } },
      'many-1': { args: { N: '1' } },
      'many-2': { args: { N: 'two' } },
    },
  },
];

function resolve({ files, set = [], env = {} }: Case): unknown {
  const sources = files.map(
    (file, i): SourceFile => ({ path: `bake-${i}.json`, text: JSON.stringify(file) }),
  );
  const [first, ...more] = sources;
  assert.ok(first);
  const overrides = parseOverrides(set, env);
  if (!overrides.ok) return renderFailure(overrides.error);
  const parsed = parseBakeFiles([first, ...more], env, overrides.value);
  if (!parsed.ok) return renderFailure(parsed.error);
  const printed = bakePrint([...parsed.value.targets.values()]);
  // What is printed is a bake file, which says the same.
  const again = parseBakeFiles([{ path: 'p.json', text: JSON.stringify(printed) }], {}, []);
  assert.ok(again.ok);
  const escaped = JSON.stringify(printed);
  if (!escaped.includes('$'))
    assert.deepEqual(bakePrint([...again.value.targets.values()]), printed);
  return printed['target'];
}

describe('bake files', () => {
  test('targets of files, parents and flags are put together as docker buildx bake does', () => {
    const wrong: unknown[] = [];
    for (const each of CASES) {
      const expected = Object.fromEntries(
        Object.entries(each.targets).map(([name, target]) => [
          name,
          {
            context: '.',
            ...(Object.hasOwn(target as object, 'dockerfile-inline')
              ? {}
              : { dockerfile: 'Dockerfile' }),
            ...(target as object),
          },
        ]),
      );
      try {
        assert.deepEqual(resolve(each), expected, each.name);
      } catch (e) {
        wrong.push(each.name, e instanceof Error ? e.message : e);
      }
    }
    note(`${CASES.length} cases`);
    assert.deepEqual(wrong, []);
  });

  test('an override that cannot be meant is refused with what would be right', () => {
    const errors = [
      'a',
      'a.tag=x',
      'a.args=1',
      'a.tags.x=1',
      'a.context+=x',
      'a.tags',
      'a.pull=no',
    ].map((text) => {
      const parsed = parseOverrides([text], {});
      return parsed.ok ? 'ok' : renderFailure(parsed.error);
    });
    assert.deepEqual(errors, [
      'error[CL002]: --set "a": not of the form TARGET.KEY=VALUE\nhelp: for example --set "*.platform=linux/arm64"',
      'error[CL002]: --set "a.tag=x": unknown key "tag"\nhelp: did you mean "tags"?',
      'error[CL002]: --set "a.args=1": "args" needs a name\nhelp: write TARGET.args.NAME=VALUE',
      'error[CL002]: --set "a.tags.x=1": "tags" has no members\nhelp: write TARGET.tags=VALUE',
      'error[CL002]: --set "a.context+=x": "context" is no list\nhelp: write = instead of +=',
      'error[CL002]: --set "a.tags": has no value\nhelp: write TARGET.tags=VALUE',
      'error[CL002]: --set "a.pull=no": "no" is not true or false\nhelp: write true or false',
    ]);
  });

  test('patterns of names are those of Go', () => {
    const rows = [
      ['*', 'app', true],
      ['a*', 'app', true],
      ['a?p', 'app', true],
      ['[^b]pp', 'app', true],
      ['app', 'apps', false],
      ['a.p', 'app', false],
    ] as const;
    assert.deepEqual(
      rows.map(([pattern, name]) => matchesName(pattern, name)),
      rows.map(([, , expected]) => expected),
    );
  });

  test('a wrong target is shown in the file that has it', () => {
    const parsed = parseBakeFiles(
      [
        { path: 'one.json', text: '{"target": {"a": {}}}' },
        { path: 'two.json', text: '{"target": {"b": {"inherits": ["missing"]}}}' },
      ],
      {},
      [],
    );
    assert.ok(!parsed.ok);
    assert.equal(
      renderFailure(parsed.error),
      `error[PJ004]: target "missing" is not defined
 --> two.json:1:18
  |
1 | {"target": {"b": {"inherits": ["missing"]}}}
  |                  ${'^'.repeat(25)} help: there are: a, b
`.trimEnd(),
    );
  });
});
