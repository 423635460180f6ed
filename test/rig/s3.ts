import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A real s3rver in this process on a free loopback port, with one bucket. */
export interface S3Server extends AsyncDisposable {
  readonly url: string;
  readonly bucket: string;
}

interface Rver {
  run(): Promise<AddressInfo>;
  close(): Promise<void>;
}

/** The key that s3rver accepts; it does not check the signatures of version 4. */
export const S3_KEY = 'S3RVER';

/** Starts s3rver. */
export async function startS3(): Promise<S3Server> {
  // The package is CommonJS and has no types.
  const S3rver = createRequire(import.meta.url)('s3rver') as new (
    options: Readonly<Record<string, unknown>>,
  ) => Rver;
  const directory = await mkdtemp(join(tmpdir(), 'varve-s3-'));
  const server = new S3rver({
    port: 0,
    address: '127.0.0.1',
    silent: true,
    directory,
    configureBuckets: [{ name: 'cache' }],
  });
  const { port } = await server.run();
  return {
    url: `http://127.0.0.1:${port}`,
    bucket: 'cache',
    [Symbol.asyncDispose]: async () => {
      await server.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
