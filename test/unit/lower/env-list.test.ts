import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { EnvList } from '../../../src/lower/env-list.ts';
import { createLowering, NO_ANSWERS } from '../../../src/lower/index.ts';

test('versions of a list are what maps copied for each change would be', () => {
  const change = fc.record({
    from: fc.nat(),
    name: fc.constantFrom('A', 'B', 'C'),
    value: fc.option(fc.constantFrom('', '1', '2'), { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 20 }), (changes) => {
      const versions: { readonly list: EnvList; readonly model: ReadonlyMap<string, string> }[] = [
        { list: new EnvList([['A', '0']]), model: new Map([['A', '0']]) },
      ];
      for (const { from, name, value } of changes) {
        const version = versions[from % versions.length];
        assert.ok(version !== undefined);
        const model = new Map(version.model);
        model.delete(name);
        if (value !== undefined) model.set(name, value);
        const { list } = version;
        versions.push({
          list: value === undefined ? list.without(name) : list.with(name, value),
          model,
        });
      }
      for (const { list, model } of versions)
        assert.deepEqual(
          {
            lines: list.lines(),
            keys: list.keys(),
            values: ['A', 'B', 'C'].map((n) => list.get(n)),
          },
          {
            lines: [...model].map(([k, v]) => `${k}=${v}`),
            keys: [...model.keys()],
            values: ['A', 'B', 'C'].map((n) => model.get(n)),
          },
        );
    }),
    { numRuns: 500 },
  );
});

test('thousands of labels, variables and steps are lowered in seconds', () => {
  const seconds = (line: (i: number) => string, count: number): number => {
    const text = `FROM scratch\n${Array.from({ length: count }, (_, i) => line(i)).join('\n')}\n`;
    const before = process.cpuUsage();
    const lowering = createLowering({
      file: { path: 'Dockerfile', text },
      buildPlatform: { OS: 'linux', Architecture: 'amd64' },
      context: { kind: 'local', name: 'context', session: '' },
    });
    const answers = { ...NO_ANSWERS, ignoreFiles: new Map([['context', undefined]]) };
    assert.equal(lowering(answers).kind, 'lowered');
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1e6;
  };
  const limits = [
    seconds((i) => `LABEL l${i}=x`, 20_000),
    seconds((i) => `ENV P${i % 7}=$P${i % 3}x`, 300),
    seconds((i) => `ENV V${i}=x`, 5_000),
    seconds((i) => `RUN echo ${i}`, 10_000),
  ];
  // With a copy of all that is known at each instruction it is minutes.
  assert.deepEqual(
    limits.map((took) => took < 10),
    [true, true, true, true],
    limits.join(' '),
  );
});
