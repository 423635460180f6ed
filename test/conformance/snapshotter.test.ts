import { tmpdir, userInfo } from 'node:os';
import { TempDir } from '../../src/base/index.ts';
import { createSnapshotter } from '../../src/snapshot/index.ts';
import { runSnapshotterTests } from './snapshotter.ts';

runSnapshotterTests(
  async () => {
    const dir = await TempDir.create(tmpdir(), 'varve-snapshot-');
    return {
      root: dir.path,
      snapshotter: createSnapshotter({ root: dir.path }),
      [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
    };
  },
  userInfo().uid === 0 ? {} : { skip: 'mounting layers and making device nodes needs root' },
);
