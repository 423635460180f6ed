import { deepEqual } from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { sha256 } from '../../src/base/index.ts';
import { decodeManifest } from '../../src/oci/index.ts';

const CHILD = join(import.meta.dirname, 'referrer-child.ts');
const SUBJECT = sha256('subject');
const TAG = `/v2/team/app/manifests/${SUBJECT.replace(':', '-')}`;

/**
 * A registry without a list of referrers. Two processes read the tag at the same moment: the first two requests for it are answered
 * together, so that both write what they read then.
 */
class PlainRegistry implements AsyncDisposable {
  readonly manifests = new Map<string, Buffer>();
  /** Writes that were refused for what they were to replace. */
  refused = 0;
  readonly #knowsTags: boolean;
  readonly #waiting: (() => void)[] = [];
  #reads = 0;
  readonly #server = createServer((request, response) => void this.#answer(request, response));

  private constructor(knowsTags: boolean) {
    this.#knowsTags = knowsTags;
  }

  static async start(knowsTags: boolean): Promise<PlainRegistry> {
    const registry = new PlainRegistry(knowsTags);
    registry.#server.listen(0, '127.0.0.1');
    await once(registry.#server, 'listening');
    return registry;
  }

  get host(): string {
    // A server that listens on a port has such an address.
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '';
    const parts: Buffer[] = [];
    for await (const chunk of request) parts.push(chunk as Buffer);
    if (request.method === 'PUT') {
      this.#put(path, Buffer.concat(parts), request, response);
      return;
    }
    const known = this.manifests.get(path);
    if (path === TAG && ++this.#reads <= 2) await this.#both();
    if (known === undefined) return void response.writeHead(404).end();
    const etag = this.#knowsTags ? { etag: `"${sha256(known)}"` } : {};
    response.writeHead(200, { 'content-type': 'application/vnd.oci.image.index.v1+json', ...etag });
    response.end(known);
  }

  #put(path: string, bytes: Buffer, request: IncomingMessage, response: ServerResponse): void {
    const known = this.manifests.get(path);
    const wanted = request.headers['if-match'];
    if (this.#knowsTags && wanted !== undefined && wanted !== `"${sha256(known ?? '')}"`) {
      this.refused++;
      return void response.writeHead(412).end();
    }
    this.manifests.set(path, bytes);
    response.writeHead(201, { 'docker-content-digest': sha256(bytes) }).end();
  }

  async #both(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.#waiting.push(() => resolve(undefined));
    if (this.#waiting.length === 2) for (const go of this.#waiting) go();
    await promise;
  }

  /** Types of what the list names, in an order of its own. */
  listed(): readonly (string | undefined)[] {
    const decoded = decodeManifest(this.manifests.get(TAG) ?? Buffer.from('{}'), 'the list');
    if (!decoded.ok || decoded.value.kind !== 'index') return [];
    return decoded.value.index.manifests.map((each) => each.artifactType).sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

for (const [what, knowsTags] of [
  ['replaces whatever there is', false],
  ['replaces only what was read', true],
] as const)
  test(`two processes that list referrers of one image at once are both listed by a registry that ${what}`, async () => {
    const dir = mkdtempSync(join(tmpdir(), 'varve-referrers-'));
    try {
      await using registry = await PlainRegistry.start(knowsTags);
      const put = async (name: string): Promise<string> => {
        const reference = `${registry.host}/team/app:1`;
        const child = spawn(process.execPath, [CHILD, join(dir, name), reference, SUBJECT, name], {
          stdio: ['ignore', 'ignore', 'pipe'],
        });
        let text = '';
        child.stderr.setEncoding('utf8').on('data', (more: string) => (text += more));
        const [status] = (await once(child, 'close')) as [number | null];
        return status === 0 ? 'stored' : text;
      };
      // Something is there: a list that is replaced has an entity tag.
      registry.manifests.set(TAG, Buffer.from(FIRST));
      deepEqual(await Promise.all(['one', 'two'].map(put)), ['stored', 'stored']);
      deepEqual(registry.listed(), ['example/before', 'example/one', 'example/two']);
      deepEqual(registry.refused, knowsTags ? 1 : 0);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });

const FIRST = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"${sha256('before')}","size":6,"artifactType":"example/before"}]}`;
