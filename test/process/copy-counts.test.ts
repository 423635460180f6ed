import assert from 'node:assert/strict';
import { utimesSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Rig } from '../rig/rig.ts';
import { needsStrace, tracedBuild } from '../rig/traced-build.ts';

const FILES = 200;
const CALLS = 'openat open lstat stat statx newfstatat llistxattr link linkat symlink'.split(' ');

/** What a build did with the files of its context. */
interface Counts {
  /** Times a file of the context was opened. */
  readonly opened: number;
  /** Times one was asked for its state by its path. */
  readonly asked: number;
  /** Times the extended attributes of one were asked for. */
  readonly attributes: number;
  /** Files and links made below `snapshots/`, of a context of any size. */
  readonly made: 'few' | number;
}

function build(rig: Rig): Counts {
  const count = tracedBuild(rig, CALLS);
  const made =
    count(/^open(at)?\(.*"[^"]*\/store\/snapshots\/.*O_CREAT/) +
    count(/^(link|linkat|symlink)\(.*\/store\/snapshots\//);
  return {
    opened: count(/^open(at)?\(.*"[^"]*\/app\/tree\/f\d+"/),
    asked: count(/^(lstat|stat|statx|newfstatat)\(.*"[^"]*\/app\/tree\/f\d+"/),
    attributes: count(/^llistxattr\("[^"]*\/app\/tree\/f\d+"/),
    made: made < 20 ? 'few' : made,
  };
}

describe('what a COPY of many files costs', { skip: needsStrace }, () => {
  test('an unchanged file is neither opened nor made again, and a new layer makes no file for each of its entries', async () => {
    await using rig = new Rig();
    const tree = Object.fromEntries(
      Array.from({ length: FILES }, (_, i) => [`tree/f${i}`, `file ${i}\n`]),
    );
    rig.context('app', { Dockerfile: 'FROM scratch\nCOPY tree /tree\n', ...tree });
    const touch = (seconds: number): void => {
      for (const name of Object.keys(tree))
        utimesSync(join(rig.work, 'app', name), seconds, seconds);
    };
    // Times in the past alone do not settle a file: its change time is now.
    // Starting the program takes longer than a tick of the clock: what was written before it is settled.
    const cold = build(rig);
    const unchanged = build(rig);
    rig.write('app/tree/f7', 'changed\n');
    const oneFile = build(rig);
    touch(1_600_000_000);
    const freshCheckout = build(rig);
    rig.write('app/tree/f8', 'changed too\n');
    const changedCheckout = build(rig);
    assert.deepEqual(
      { cold, unchanged, oneFile, freshCheckout, changedCheckout },
      {
        // Each file is asked for its state once. Opened once for the digest, once for the layer.
        cold: { opened: 2 * FILES, asked: FILES, attributes: FILES, made: 'few' },
        unchanged: { opened: 0, asked: FILES, attributes: 0, made: 'few' },
        oneFile: { opened: 2, asked: FILES, attributes: 1, made: 'few' },
        // Times are not part of the key: all is hashed, nothing is copied.
        freshCheckout: { opened: FILES, asked: FILES, attributes: FILES, made: 'few' },
        changedCheckout: { opened: 2, asked: FILES, attributes: 1, made: 'few' },
      },
    );
  });
});
