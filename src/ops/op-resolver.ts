import { err, failure } from '../base/index.ts';
import type { SourceOp, Vertex } from '../llb/index.ts';
import type { CacheDb, Leases, OpDriver, OpResolver, Packages, WorkLocks } from '../ports/index.ts';
import { createDiffDriver } from './diff-driver.ts';
import { createDiskDriver, isDiskStep } from './disk-driver.ts';
import { createExecDriver, type ExecDriverDeps } from './exec-driver.ts';
import { createFileDriver } from './file-driver.ts';
import { createMergeDriver } from './merge-driver.ts';
import { createGitDriver, type GitDriverDeps, isGitSource } from './source-git.ts';
import { createHttpDriver, type HttpDriverDeps, isHttpSource } from './source-http.ts';
import { createImageDriver, type ImageDriverDeps, isImageSource } from './source-image.ts';
import { createLocalDriver, isLocalSource, type LocalSources } from './source-local.ts';
import {
  createTemplateDriver,
  isTemplateSource,
  type LazyShelf,
  lazyShelf,
} from './template-source.ts';

/** Everything that the ops of one build work with. */
export interface OpWorld
  extends ExecDriverDeps,
    Omit<ImageDriverDeps, 'clock' | 'snapshotter'>,
    Omit<HttpDriverDeps, 'clock' | 'snapshotter' | 'secrets'>,
    Omit<GitDriverDeps, 'clock' | 'snapshotter' | 'secrets' | 'remembered'> {
  readonly locals: LocalSources;
  readonly packages: Packages;
  /** A directory on the store's file system for temporary files. */
  readonly workDir: string;
  readonly cache: CacheDb;
  readonly locks: WorkLocks;
  readonly leases: Leases;
}

/** The driver of each op of one build. */
export function createOpResolver(world: OpWorld): OpResolver {
  // One exec driver a build: it remembers which cache mounts were emptied.
  const exec = createExecDriver(world);
  const file = createFileDriver(world);
  const merge = createMergeDriver(world);
  const diff = createDiffDriver(world);
  const disk = createDiskDriver(world);
  // One for all roots of a build: they wait for one another.
  const shelf = lazyShelf({ ...world, snapshots: world.snapshotter });
  return ({ op }: Vertex): OpDriver => {
    const { body } = op;
    switch (body.kind) {
      case 'exec':
        return isDiskStep(op) ? disk : exec;
      case 'file':
        return file;
      case 'merge':
        return merge;
      case 'diff':
        return diff;
      case 'source':
        return sourceDriver(body.source, world, shelf);
      case 'terminal':
        throw new Error('the end of a definition is no step');
    }
  };
}

function sourceDriver(source: SourceOp, world: OpWorld, shelf: LazyShelf): OpDriver {
  if (isLocalSource(source)) return createLocalDriver(source, world);
  if (isImageSource(source)) return createImageDriver(source, world);
  if (isHttpSource(source)) return createHttpDriver(source, world);
  if (isGitSource(source)) return createGitDriver(source, world);
  if (isTemplateSource(source))
    return createTemplateDriver(source, { ...world, snapshots: world.snapshotter }, shelf);
  return refusing(source);
}

/** Sources of kinds that are not known here: refused before anything is executed. */
function refusing(source: SourceOp): OpDriver {
  const scheme = source.identifier.split('://')[0] ?? '';
  const refused = err(failure('GR015', 2, `sources of the kind ${scheme}:// are not supported`));
  return {
    cacheMap: () => Promise.resolve(refused),
    contentKey: () => Promise.resolve(refused),
    run: () => Promise.resolve(refused),
  };
}
