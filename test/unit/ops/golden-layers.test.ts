import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { sha256 } from '../../../src/base/index.ts';
import { decodeOp, type Op } from '../../../src/llb/index.ts';
import { createCacheMounts, createExecDriver, createFileDriver } from '../../../src/ops/index.ts';
import type { LayerChain, OpContext, Snapshotter } from '../../../src/ports/index.ts';
import { createSandbox } from '../../../src/sandbox/index.ts';
import { getXattr, setTimes } from '../../../src/sys/index.ts';
import { GOLDEN, goldenJson, needsGolden, note } from '../../rig/golden.ts';
import { needsContainers } from '../sandbox/busybox.ts';
import { World } from './world.ts';

interface GoldenEntry {
  readonly path: string;
  readonly type: string;
  readonly mode?: string;
  readonly content?: string;
  readonly contentBase64?: string;
  readonly target?: string;
}

interface GoldenOp {
  readonly digest: string;
  readonly pb: string;
  readonly inputs: readonly string[];
  readonly metadata: { readonly description: Readonly<Record<string, string>> };
}

interface GoldenFile {
  readonly name: string;
  readonly type: string;
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly sha256?: string;
  readonly linkname?: string;
  readonly mtime: number | null;
}

/** Time of every entry of a golden context, in seconds. */
const MTIME = 1_704_164_645;
const CASES = [
  '01-run-chain',
  '02-copy',
  '03-copy-flags',
  '04-multistage',
  '05-workdir-user-meta',
  '06-arg-env',
  '07-heredoc',
  '08-mounts',
  '09-deletes-links',
  '15-copy-links',
  '16-onbuild-target',
  '21-logs-warnings',
  '22-context-xattrs',
];
const skips = { ...needsContainers, ...needsGolden };

for (const name of CASES)
  test(`layers of ${name} are BuildKit's`, skips, async () => {
    const differences: string[] = [];
    let count = 0;
    await using build = new GoldenBuild(name);
    await build.run((index, actual, expected) => {
      count++;
      try {
        assert.deepEqual(actual, expected);
      } catch (e) {
        differences.push(`layer ${index}: ${String(e)}`);
      }
    });
    note(`${name}: ${count - differences.length} of ${count} layers equal`);
    assert.deepEqual(differences, []);
  });

class GoldenBuild extends World {
  readonly #case: string;

  constructor(name: string) {
    super();
    this.#case = `cachekeys/${name}`;
  }

  /** Executes every op of the image's own chain and hands out its layers above the base. */
  async run(
    compare: (index: string, actual: readonly string[], expected: readonly string[]) => void,
  ): Promise<void> {
    const ops = goldenJson<readonly GoldenOp[]>(`${this.#case}/llb.json`);
    const results = new Map<string, readonly (LayerChain | undefined)[]>();
    let last: LayerChain = [];
    for (const golden of ops) {
      const inputs = golden.inputs.map((text) => {
        const [digest = '', index] = text.split(/@(?=\d+$)/);
        return results.get(digest)?.[Number(index)] ?? [];
      });
      const op = decodeOp(Buffer.from(golden.pb, 'base64'));
      assert.ok(op.ok);
      if (op.value.body.kind === 'terminal') last = inputs[0] ?? [];
      else results.set(golden.digest, await this.#execute(op.value, inputs));
    }
    const expected = new Map(
      Object.entries(goldenJson<Record<string, GoldenFile[]>>(`${this.#case}/layers.json`)),
    );
    last.forEach((_layer, i) => {
      const entries = expected.get(String(i));
      if (entries !== undefined)
        this.#compare(String(i), last.slice(0, i + 1), { entries, compare });
    });
  }

  #compare(
    index: string,
    chain: LayerChain,
    with_: {
      readonly entries: readonly GoldenFile[];
      readonly compare: (i: string, a: readonly string[], b: readonly string[]) => void;
    },
  ): void {
    const dir = this.upper(chain.at(-1));
    const timed = new Set(
      with_.entries.filter((e) => e.mtime !== null).map((e) => e.name.replace(/\/$/, '')),
    );
    const actual = pathsBelow(dir).map((path) => lineOf(dir, path, timed.has(path)));
    with_.compare(
      index,
      [...actual, ...this.#hidden(chain)].sort(),
      with_.entries.map((e) => goldenLine(e, with_.entries)).sort(),
    );
  }

  /** What opaque directories hide, which BuildKit writes as single whiteouts. */
  #hidden(chain: LayerChain): string[] {
    const dir = this.upper(chain.at(-1));
    const below = this.merged(chain.slice(0, -1));
    return pathsBelow(dir)
      .filter((path) => getXattr(join(dir, path), 'trusted.overlay.opaque') !== undefined)
      .filter((path) => lstatSync(join(below, path), { throwIfNoEntry: false })?.isDirectory())
      .flatMap((path) =>
        readdirSync(join(below, path))
          .filter((name) => !readdirSync(join(dir, path)).includes(name))
          .map((name) => `${path}/${name} gone`),
      );
  }

  async #execute(
    op: Op,
    inputs: readonly LayerChain[],
  ): Promise<readonly (LayerChain | undefined)[]> {
    const deps = {
      snapshotter: this.snapshotter as Snapshotter,
      trees: this.trees,
      clock: { now: () => 7 },
    };
    const context: OpContext = this.context(op.body);
    switch (op.body.kind) {
      case 'source':
        return [
          op.body.source.identifier.startsWith('local://') ? this.#contextLayer() : this.#base(),
        ];
      case 'file': {
        const done = await createFileDriver(deps).run(context, inputs);
        assert.ok(done.ok, JSON.stringify(done));
        return done.value;
      }
      case 'exec': {
        const { secrets = {} } = goldenJson<{ secrets?: Record<string, string> }>(
          `${this.#case}/case.json`,
        );
        const done = await createExecDriver({
          ...deps,
          sandbox: createSandbox({ stateDir: join(this.dir, 'sandbox') }),
          cacheMounts: createCacheMounts({ root: join(this.dir, 'mounts') }),
          secrets: {
            secret: (id) =>
              Promise.resolve(secrets[id] === undefined ? undefined : Buffer.from(secrets[id])),
            agent: () => undefined,
          },
        }).run(context, inputs);
        assert.ok(done.ok, JSON.stringify(done));
        return done.value;
      }
      case 'merge':
        return [inputs.flat()];
      case 'diff':
      case 'terminal':
        throw new Error(`${op.body.kind} ops are not part of these cases`);
    }
  }

  #contextLayer(): LayerChain {
    const chain = this.layer('');
    const root = this.upper(chain[0]);
    const { entries } = goldenJson<{ entries: readonly GoldenEntry[] }>(`${this.#case}/case.json`);
    const ignored = entries.some((e) => e.path === '.dockerignore')
      ? /^ignored(\/|$)|\.log$/
      : /^$/;
    const kept = entries.filter((entry) => !ignored.test(entry.path));
    for (const entry of kept) makeEntry(root, entry);
    const ns = BigInt(MTIME) * 1_000_000_000n;
    for (const path of ['', ...pathsBelow(root)])
      setTimes(join(root, path), { atimeNs: ns, mtimeNs: ns });
    return chain;
  }

  #base(): LayerChain {
    const blob = (digest: string): string =>
      join(GOLDEN ?? '', 'cachekeys/base/blobs', digest.replace(':', '/'));
    const read = <T>(digest: string): T =>
      goldenJson<T>(`cachekeys/base/blobs/${digest.replace(':', '/')}`);
    const index = goldenJson<{ manifests: { digest: string }[] }>('cachekeys/base/index.json');
    const manifest = read<{ layers: { digest: string }[] }>(index.manifests[0]?.digest ?? '');
    let chain: LayerChain = [];
    for (const layer of manifest.layers) {
      chain = this.layer('', chain);
      execFileSync('tar', [
        '-xpzf',
        blob(layer.digest),
        '-C',
        this.upper(chain.at(-1)),
        '--numeric-owner',
      ]);
    }
    return chain;
  }
}

function makeEntry(root: string, entry: GoldenEntry): void {
  const path = join(root, entry.path);
  mkdirSync(dirname(path), { recursive: true });
  if (entry.type === 'symlink') {
    symlinkSync(entry.target ?? '', path);
    return;
  }
  if (entry.type === 'hardlink') {
    linkSync(join(root, entry.target ?? ''), path);
    return;
  }
  if (entry.type === 'dir') mkdirSync(path, { recursive: true });
  else {
    const { content, contentBase64 } = entry;
    writeFileSync(
      path,
      contentBase64 === undefined ? (content ?? '') : Buffer.from(contentBase64, 'base64'),
    );
  }
  const mode = entry.mode ?? (entry.type === 'dir' ? '0755' : '0644');
  chmodSync(path, Number.parseInt(mode, 8));
}

function pathsBelow(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory()
      ? [entry.name, ...pathsBelow(join(dir, entry.name)).map((p) => `${entry.name}/${p}`)]
      : [entry.name],
  );
}

function lineOf(dir: string, path: string, withTime: boolean): string {
  const stat = lstatSync(join(dir, path));
  if (stat.isCharacterDevice() && stat.rdev === 0) return `${path} gone`;
  const link = stat.isSymbolicLink() ? readlinkSync(join(dir, path)) : '';
  const data = stat.isFile() ? sha256(readFileSync(join(dir, path))).slice(7) : '';
  const mode = (stat.mode & 0o7777).toString(8).padStart(4, '0');
  const time = withTime ? Math.floor(stat.mtimeMs / 1000) : '';
  return `${path} ${mode} ${stat.uid}:${stat.gid} ${data}${link} ${time}`;
}

function goldenLine(entry: GoldenFile, all: readonly GoldenFile[]): string {
  const path = entry.name.replace(/\/$/, '');
  if (/(^|\/)\.wh\./.test(path)) return `${path.replace('.wh.', '')} gone`;
  // A hard link in an archive has no data of its own.
  const first = entry.type === 'hardlink' ? all.find((e) => e.name === entry.linkname) : entry;
  const { mode, uid, gid } = entry;
  const link = entry.type === 'symlink' ? (entry.linkname ?? '') : '';
  return `${path} ${mode} ${uid}:${gid} ${first?.sha256 ?? ''}${link} ${entry.mtime ?? ''}`;
}
