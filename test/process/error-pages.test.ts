import assert from 'node:assert/strict';
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type Failure, type Result, renderFailure, sha256 } from '../../src/base/index.ts';
import { writeTreeFile } from '../../src/export/index.ts';
import { cacheCarrier, restoreMount } from '../../src/remotes/index.ts';
import { parseRepomd, RpmHeader } from '../../src/rpm/index.ts';
import { note } from '../rig/golden.ts';
import { varveHere } from '../rig/in-process.ts';
import { request, settle } from '../rig/lowering.ts';
import { MemoryTree } from '../rig/memory-tree.ts';
import { BUSYBOX, needsSteps, Rig } from '../rig/rig.ts';

const PAGES = join(import.meta.dirname, '../../docs/errors');
const { signal } = new AbortController();

/** What differs from run to run, on a page as in an output. */
const plain = (text: string): string =>
  text
    .replace(/sha256:[0-9a-f]{64}/g, 'sha256:D')
    .replace(/(127\.0\.0\.1|localhost):\d+/g, '$1:PORT')
    .replace(/^full log: .*$/gm, 'full log: LOG')
    .trim();

/** Compares what was printed, from `error[` on, with the example of the page; `--update` writes it there. */
function compare(code: string, printed: string): void {
  const shown = printed.slice(printed.indexOf(`error[${code}]`)).trim();
  assert.ok(shown.startsWith(`error[${code}]`), `no ${code} in:\n${printed}`);
  const path = join(PAGES, `${code}.md`);
  const page = readFileSync(path, 'utf8');
  const example = [...page.matchAll(/^```\w*\n([^]*?)^```$/gm)]
    .map(([, body = '']) => body)
    .find((body) => body.includes(`error[${code}]: `));
  if (process.env['VARVE_TEST_UPDATE'] === '1') {
    writeFileSync(
      path,
      page.replace(example ?? '', () => `${shown}\n`),
    );
    return;
  }
  assert.equal(plain(example ?? ''), plain(shown));
}

/** A world whose commands run here, in its working directory, which pages show as /home/you/app. */
class PageRig extends Rig {
  async run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
    const run = await varveHere(this, this.work, args, env);
    assert.notEqual(run.status, 0, run.stdout);
    return run.stderr.replaceAll(this.work, '/home/you/app').replaceAll(this.root, '/home/you');
  }

  async ok(args: readonly string[]): Promise<void> {
    const run = await varveHere(this, this.work, args);
    assert.equal(run.status, 0, run.stderr);
  }
}

const rendered = (result: Result<unknown>): string => {
  const failure: Failure | undefined = result.ok ? undefined : result.error;
  assert.ok(failure !== undefined);
  return renderFailure(failure);
};

const lowered = (text: string, image?: unknown, contexts = {}): string => {
  const outcome = settle(request(text, { contexts }), image);
  assert.ok(outcome.kind === 'failed');
  return renderFailure(outcome.failure);
};

/** Answers every request. */
async function serve(
  status: number,
  headers: Readonly<Record<string, string>>,
  body = '',
): Promise<AsyncDisposable & { readonly host: string }> {
  const server = createServer((_, response) => response.writeHead(status, headers).end(body));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // A TCP server has an address of this kind.
  const { port } = server.address() as AddressInfo;
  return {
    host: `127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const QUIET = ['build', '--progress=quiet'];

const CASES: Readonly<Record<string, (rig: PageRig) => Promise<string> | string>> = {
  DF020: async (rig) => {
    rig.write('Dockerfile', 'FROM scratch\nRUN --mount=type=tmpfs,target=/x\u2003<<EOF\nhi\nEOF\n');
    return await rig.run([...QUIET, '.']);
  },
  DF027: () => lowered('FROM registry.example.com/app:1\n', []),
  DF028: () => lowered('FROM app\n', undefined, { app: 'docker-image://Upper/X' }),
  EX006: async () => {
    const tree = new MemoryTree([{ path: '/other', type: 'file', content: '' }]);
    const memo = { get: () => undefined, set: () => undefined, setAll: () => undefined };
    const to = { kind: 'stream', write: () => Promise.resolve() } as const;
    return rendered(await writeTreeFile({ tree, path: '/disk.raw', memo }, to, signal));
  },
  EX010: async (rig) => {
    rig.context('app', { Dockerfile: `${BUSYBOX}RUN echo made > /made\n` });
    const build = [...QUIET, '-o', 'type=oci,dest=out.tar', 'app'];
    await rig.ok(build);
    rmSync(join(rig.store, 'content/blobs'), { recursive: true });
    const layers = join(rig.store, 'snapshots/layers');
    for (const entry of readdirSync(layers, { recursive: true, withFileTypes: true }))
      if (entry.name === 'made') writeFileSync(join(entry.parentPath, 'made'), 'else\n');
    return await rig.run(build);
  },
  PJ010: async (rig) => {
    rig.write(
      'varve.yml',
      'name: p\nbase: scratch\nlayers:\n  app:\n    inputs: {files: [src/missing]}\n    steps: [{copy: src/missing, to: /x}]\n',
    );
    return await rig.run(['bake', '--progress=quiet']);
  },
  PJ012: async (rig) => {
    rig.context('base', { Dockerfile: 'FROM scratch\nCOPY busybox /busybox\n' });
    await rig.ok([...QUIET, '-t', 'me/base:1', 'base']);
    rig.write('Dockerfile', 'FROM scratch\nCOPY varve.yml /\n');
    rig.write(
      'varve.yml',
      'name: p\nbase: me/base:1\nlayers:\n  app:\n    inputs: {files: [varve.yml]}\n    dockerfile: Dockerfile\n',
    );
    return await rig.run(['bake', '--progress=quiet', 'app']);
  },
  RC002: () => {
    const digest = sha256('{}');
    const config = { mediaType: 'application/vnd.oci.empty.v1+json', digest, size: 2 };
    const manifest = { schemaVersion: 2, config, layers: [] };
    return rendered(cacheCarrier({ kind: 'manifest', manifest } as never));
  },
  RC006: async (rig) => {
    rig.write('app/Dockerfile', 'FROM scratch\nCOPY f /\n');
    rig.write('app/f', '');
    rig.write('file', '');
    return await rig.run([...QUIET, '--cache-to', 'type=local,dest=file/cache', 'app']);
  },
  RC022: async (rig) => {
    const file = { type: 'file', path: 'x', size: 2 ** 50 };
    return rendered(
      await restoreMount(rig.root, { entries: [file] } as never, { signal } as never),
    );
  },
  RC023: async (rig) =>
    await rig.run(['cache', 'import', '--progress=quiet', '--mounts', '--from', 'type=gha'], {
      ACTIONS_RUNTIME_TOKEN: 'x',
      ACTIONS_RESULTS_URL: 'http://127.0.0.1:1/',
    }),
  RC041: async (rig) => {
    await using server = await serve(200, { etag: '"1"' }, 'x');
    rig.write('app/Dockerfile', `FROM scratch\nADD http://${server.host}/f.tgz /\n`);
    await rig.ok([...QUIET, 'app']);
    return await rig.run(['cache', 'warm', '--progress=quiet', 'app']);
  },
  RG005: async (rig) => await rig.run(['image', 'push', 'Me/App:1']),
  RG020: async (rig) => {
    await using server = await serve(401, { 'www-authenticate': 'Basic realm="x"' });
    rig.write('.docker/config.json', '[]');
    return await rig.run(['image', 'pull', '-q', `${server.host}/x`], {
      HOME: rig.work,
      DOCKER_CONFIG: join(rig.work, '.docker'),
      VARVE_INSECURE_REGISTRIES: server.host,
    });
  },
  SB003: async (rig) => {
    rig.context('app', { Dockerfile: `${BUSYBOX}RUN true\n` });
    rig.write('runc', '#!/bin/sh\nkill -KILL $$\n');
    chmodSync(join(rig.work, 'runc'), 0o755);
    return await rig.run([...QUIET, '--runtime', join(rig.work, 'runc'), 'app']);
  },
  SB009: async (rig) => {
    const made = 'RUN busybox rmdir /w && echo file > /w\n';
    rig.context('app', { Dockerfile: `${BUSYBOX}WORKDIR /w\n${made}RUN true\n` });
    return await rig.run([...QUIET, 'app']);
  },
  PK022: () => rendered(parseRepomd('<html></html>', 'repodata/repomd.xml')),
  PK044: () => rendered(RpmHeader.parse(Buffer.alloc(40), 'bash-5.2.26-3.x86_64.rpm')),
};

describe('examples on the pages of failure codes', { skip: needsSteps, concurrency: 2 }, () => {
  for (const [code, run] of Object.entries(CASES))
    test(`the page of ${code} shows what a run prints`, async () => {
      await using rig = new PageRig();
      compare(code, await run(rig));
    });

  test('a step is told that its working directory has become a link to itself', async () => {
    await using rig = new PageRig();
    const made = 'RUN busybox rmdir /w && busybox ln -s w /w\n';
    rig.context('app', { Dockerfile: `${BUSYBOX}WORKDIR /w\n${made}RUN true\n` });
    const printed = await rig.run([...QUIET, 'app']);
    assert.equal(printed.split('\n')[0], 'error[SB009]: /w: too many levels of symbolic links');
    note(`error pages: ${Object.keys(CASES).length} examples are compared with runs`);
  });
});
