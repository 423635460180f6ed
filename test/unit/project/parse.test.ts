import { deepEqual, equal } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { renderFailure } from '../../../src/base/index.ts';
import {
  factChanges,
  goalsOf,
  layerKey,
  layersBelow,
  layerTag,
  listText,
  parseProjectFile,
  projectJsonSchema,
  recipeInstructions,
} from '../../../src/project/index.ts';

const parse = (text: string, env: Readonly<Record<string, string>> = {}, path = 'varve.yml') =>
  parseProjectFile({ path, text }, env);

const errorOf = (text: string, path?: string): string => {
  const parsed = parse(text, {}, path);
  return parsed.ok ? 'no error' : renderFailure(parsed.error);
};

describe('project files', () => {
  test('an unknown key is shown where it stands, with the known one that is nearest', () => {
    equal(
      errorOf('name: a\nlayers:\n  x:\n    step: [make]\n'),
      `error[PJ002]: unknown key "step" in layers.x
 --> varve.yml:4:5
  |
4 |     step: [make]
  |     ^^^^ help: did you mean "steps"?`,
    );
  });

  test('a need that is no layer is shown where it stands', () => {
    equal(
      errorOf('name: a\nlayers:\n  python: {steps: [a]}\n  app: {needs: [pyton], steps: [b]}\n'),
      `error[PJ004]: layer "pyton" is not defined
 --> varve.yml:4:17
  |
4 |   app: {needs: [pyton], steps: [b]}
  |                 ^^^^^ help: did you mean "python"?`,
    );
  });

  test('needs that lead back to themselves are refused with their names', () => {
    equal(
      errorOf(
        'name: a\nlayers:\n  x: {needs: [y], steps: [a]}\n  y: {uses: [x], steps: [b]}\n',
      ).split('\n')[0],
      'error[PJ004]: needs goes in a circle: x -> y -> x',
    );
  });

  test('a variable that is not declared is refused where it stands', () => {
    equal(
      errorOf('name: a\nbase: ${BAS}\n'),
      `error[PJ005]: variable "BAS" is not declared
 --> varve.yml:2:7
  |
2 | base: \${BAS}
  |       ^^^^^^ help: declare it under variables, or write \${NAME:-default}`,
    );
  });

  test('HCL is refused with the command that converts it', () => {
    equal(
      errorOf('target "x" {}', 'docker-bake.hcl'),
      'error[PJ006]: docker-bake.hcl is HCL, which is not read here\nhelp: convert it once: docker buildx bake --print > docker-bake.json',
    );
  });

  test('a value of another kind than expected is told in the words of the file', () => {
    const said = (text: string): string => {
      const [first = '', ...rest] = errorOf(text).split('\n');
      const help = rest.find((line) => line.includes(' help: '))?.replace(/^.* help: /, '') ?? '';
      return `${first.replace(/^error/, '')}${help === '' ? '' : ` (${help})`}`;
    };
    const layer = (text: string): string => said(`name: a\nlayers:\n  x: ${text}\n`);
    deepEqual(
      [
        said(''),
        said('- a\n'),
        said('layers: {}\n'),
        said('name: My App\n'),
        said('name: a\nstore: example.test/x\n'),
        said('name: a\nlayers: {x: {steps: [a]}}\nimages: {i: {layers: []}}\n'),
        said('name: a\nlayers: {x: {steps: [a]}}\nimages: {i: {layers: [x], cmd: sh}}\n'),
        said('name: a\ntargets: {t: {args: [A=b]}}\n'),
        said('name: a\nlayers:\n\tx: {steps: [a]}\n'),
        said('name: a\nlayers:\n  x: {steps: [a]}\n  x: {steps: [b]}\n'),
        layer(''),
        layer('{}'),
        layer('{steps: make}'),
        layer('{steps: []}'),
        layer('{steps: [{run: make}]}'),
        layer('{needs: base, steps: [a]}'),
        layer('{inputs: [src], steps: [a]}'),
        layer('{inputs: {list: [a]}, steps: [a]}'),
        layer('{inputs: {lists: [{file: a}]}, steps: [a]}'),
        layer('{inputs: {lists: [a, a]}, steps: [a]}'),
        layer('{inputs: {urls: ["http://x/y"]}, steps: [a]}'),
        layer('{changes: never, steps: [a]}'),
        layer('{template: a.yml, needs: [x]}'),
      ],
      [
        '[PJ003]: project: expected keys with values, got nothing',
        '[PJ003]: project: expected keys with values, got a list',
        '[PJ003]: name: is required',
        '[PJ003]: name: expected a name: lower-case letters, digits, "-" and "_", 40 at most',
        '[PJ003]: store: expected keys with values, got a text',
        '[PJ003]: images.i.layers: expected one item at least',
        '[PJ003]: images.i.cmd: expected a list, got a text (write it in brackets: [VALUE])',
        '[PJ003]: targets.t.args: expected names with values, got a list',
        '[PJ001]: tabs are not allowed as indentation',
        '[PJ001]: map keys must be unique',
        '[PJ003]: layers.x: expected keys with values, got nothing',
        '[PJ004]: layer "x" has no recipe (give it one of steps, recipe, dockerfile, template, packages)',
        '[PJ003]: layers.x.steps: expected a list, got a text (write it in brackets: [VALUE])',
        '[PJ003]: layers.x.steps: expected one item at least',
        '[PJ003]: layers.x.steps[0]: expected a command, {copy, to} or {env}',
        '[PJ003]: layers.x.needs: expected a list, got a text (write it in brackets: [VALUE])',
        '[PJ003]: layers.x.inputs: expected keys with values, got a list',
        '[PJ002]: unknown key "list" in layers.x.inputs (did you mean "lists"?)',
        '[PJ003]: layers.x.inputs.lists[0]: expected a path, {list, only} or {list, except}',
        '[PJ004]: layer "x" has the list a twice (name it once, with all packages that the layer takes of it)',
        '[PJ003]: layers.x.inputs.urls[0]: expected keys with values, got a text',
        '[PJ003]: layers.x.changes: expected one of "rarely", "sometimes", "often"',
        '[PJ004]: layer "x" cannot need other layers, for it is a whole root file system (layers may need it instead)',
      ],
    );
  });

  test('a layer has one recipe', () => {
    equal(
      errorOf('name: a\nlayers: {x: {steps: [a], recipe: "RUN b"}}\n').split('\n')[0],
      'error[PJ004]: layer "x" has 2 recipes: steps, recipe',
    );
  });

  test('layers take from others what they do not say; variables come from the environment first', () => {
    const parsed = parse(
      `name: a
variables: {V: "1", W: w}
layers:
  _common: {cache: [/c], inputs: {args: {V: "\${V}", W: "\${W}"}}, steps: [common]}
  x: {inherits: _common, inputs: {args: {W: own}}, steps: [x]}
`,
      { V: '2' },
    );
    deepEqual(
      parsed.ok && [...parsed.value.layers.values()].map(({ span: _span, ...layer }) => layer),
      [
        {
          name: 'x',
          needs: [],
          uses: [],
          base: 'scratch',
          files: [],
          lists: [],
          args: { V: '2', W: 'own' },
          urls: [],
          cache: ['/c'],
          recipe: { kind: 'steps', steps: [{ kind: 'run', command: 'x' }] },
          changes: 'sometimes',
          network: 'default',
        },
      ],
    );
  });

  test('groups name images, targets and layers; needs come before what needs them, what is only copied from is left out', () => {
    const parsed = parse(`name: a
layers:
  top: {needs: [low], uses: [tool], steps: [a]}
  low: {steps: [b]}
  tool: {steps: [c]}
images: {i: {layers: [top]}}
targets: {t: {contexts: {b: "image:i"}}}
groups: {default: [t]}
`);
    const goals = parsed.ok ? goalsOf(parsed.value, []) : undefined;
    deepEqual(
      goals?.ok === true &&
        [goals.value.layers, goals.value.images, goals.value.targets].map((l) =>
          l.map((x) => x.name),
        ),
      [['low', 'top'], ['i'], ['t']],
    );
    deepEqual(
      parsed.ok &&
        layersBelow(parsed.value.layers, ['top'], { uses: true }).map(({ name }) => name),
      ['low', 'tool', 'top'],
    );
  });

  test('the JSON schema that editors get is that of the parser', () => {
    const path = join(import.meta.dirname, '../../../schema/varve.schema.json');
    equal(readFileSync(path, 'utf8'), projectJsonSchema());
  });
});

describe('keys of layers', () => {
  test('comments, continuations and other stages do not count, a changed word does', () => {
    const partsOf = (text: string): unknown => {
      const read = recipeInstructions({ path: 'Dockerfile', text }, 'x');
      return read.ok ? read.value.map(({ parts }) => parts) : read.error;
    };
    const plain = partsOf('FROM base AS x\nRUN a && b\nFROM base AS y\nRUN c\n');
    deepEqual(partsOf('# c\nfrom base AS x\nRUN a && b\n# d\nFROM base AS y\nRUN other\n'), plain);
    equal(JSON.stringify(partsOf('FROM base AS x\nRUN a && c\n')) === JSON.stringify(plain), false);
  });

  test('a stage that a recipe copies from counts', () => {
    const read = recipeInstructions(
      { path: 'D', text: 'FROM a AS low\nRUN l\nFROM b AS no\nFROM c AS x\nCOPY --from=low / /\n' },
      'x',
    );
    deepEqual(read.ok && read.value.map(({ text }) => text), [
      'FROM a AS low',
      'RUN l',
      'FROM c AS x',
      'COPY --from=low / /',
    ]);
  });

  test('a list counts without comments and blank lines', () => {
    equal(listText('# a\n\n numpy==1 # why\nurl#fragment\n'), 'numpy==1\nurl#fragment\n');
  });

  test('every fact changes the key and the tag, and the change is named', () => {
    const fact = (value: string) => ({ kind: 'argument' as const, name: 'V', value });
    equal(layerKey([fact('1')]), layerKey([fact('1')]));
    equal(layerKey([fact('1')]) === layerKey([fact('2')]), false);
    equal(layerTag('x', layerKey([fact('1')])) === layerTag('x', layerKey([fact('2')])), false);
    deepEqual(factChanges([fact('1')], [fact('2'), { kind: 'file', name: 'f', value: 'd' }]), [
      { kind: 'argument', name: 'V', before: '1', after: '2' },
      { kind: 'file', name: 'f', after: 'd' },
    ]);
  });
});
