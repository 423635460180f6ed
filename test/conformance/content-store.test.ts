import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createContentStore } from '../../src/content/index.ts';
import { runContentStoreTests } from './content-store.ts';

runContentStoreTests('disk', () => {
  const dir = mkdtempSync(join(tmpdir(), 'varve-content-'));
  return {
    store: createContentStore(join(dir, 'content')),
    [Symbol.asyncDispose]: () => {
      rmSync(dir, { recursive: true, force: true });
      return Promise.resolve();
    },
  };
});
