import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';
import { osSchema } from '../../../src/template/index.ts';

interface Node {
  readonly properties?: Readonly<Record<string, Node>>;
  readonly items?: Node;
}

/** Every key of a schema that holds a value, with those above it; of lists also the list. */
function keysOf(node: Node, path: string): readonly string[] {
  const below = Object.entries(node.properties ?? node.items?.properties ?? {});
  const own = below.length === 0 || node.items !== undefined ? [path] : [];
  return [
    ...own.filter((p) => p !== ''),
    ...below.flatMap(([key, value]) => keysOf(value, path === '' ? key : `${path}.${key}`)),
  ];
}

test('the page about disks says of every key of a template what becomes of it, and of no other', () => {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/disks.md'), 'utf8');
  const [, section = ''] = /^## Every key\n(.*?)^## /ms.exec(page) ?? [];
  const said = [...section.matchAll(/^\| (`[^|]+) \|/gm)].flatMap(([, keys = '']) =>
    [...keys.matchAll(/`([^`]+)`/g)].map(([, key]) => key ?? ''),
  );
  // A JSON Schema is a tree of such nodes.
  const schema = z.toJSONSchema(osSchema, { unrepresentable: 'any' }) as Node;
  assert.deepEqual([...said].sort(), [...keysOf(schema, '')].sort());
});
