import { tmpdir, userInfo } from 'node:os';
import { TempDir } from '../../src/base/index.ts';
import { createSnapshotter, obstacleToMounting } from '../../src/snapshot/index.ts';
import { runSnapshotterTests } from './snapshotter.ts';

const obstacle =
  userInfo().uid === 0
    ? await obstacleToMounting(tmpdir())
    : 'mounting layers and making device nodes needs root';

runSnapshotterTests(
  async () => {
    const dir = await TempDir.create(tmpdir(), 'varve-snapshot-');
    const snapshotter = createSnapshotter({ root: dir.path, form: 'erofs' });
    return {
      root: dir.path,
      snapshotter,
      [Symbol.asyncDispose]: async () => {
        await snapshotter[Symbol.asyncDispose]();
        await dir[Symbol.asyncDispose]();
      },
    };
  },
  { named: 'layers as EROFS: ', ...(obstacle === undefined ? {} : { skip: obstacle }) },
);
