import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** A temporary directory with one owner; removed when disposed. */
export class TempDir implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** Makes `<root>/<prefix>XXXXXX`; `root` is made when absent. */
  static async create(root: string, prefix = 'tmp-'): Promise<TempDir> {
    await mkdir(root, { recursive: true });
    return new TempDir(await mkdtemp(join(root, prefix)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}
