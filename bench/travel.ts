/**
 * `node bench/travel.ts [--mib N] [--only T,F] [--peers varve,buildkit] [--base busybox|debian]`: what exports and a new machine cost, with
 * a real registry on loopback. Workload T has sixty RUN steps with a file of code behind them, F one layer of N mebibytes (2048
 * when absent, half of it random) with code behind it, both on a base. Each state is one measurement: with two gibibytes in each, interleaved rounds
 * would take an hour. A new machine is a builder that has forgotten everything, with the base in a layout beside it. buildah has no cache that
 * travels in this version; what both have stands side by side.
 */
import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startRegistry } from '../test/rig/registry.ts';
import { Counted } from './counted.ts';
import { makeDisk } from './disk.ts';
import { measure } from './measure.ts';
import type { Ends, Peer } from './peer.ts';
import { makeBase, startPeers } from './peers.ts';
import { large } from './workloads.ts';

const { values: options } = parseArgs({
  options: {
    mib: { type: 'string', default: '2048' },
    only: { type: 'string', default: 'T,F' },
    peers: { type: 'string', default: 'varve,buildkit,buildah' },
    base: { type: 'string', default: 'debian' },
  },
});
const mib = Number(options.mib);

interface Travel {
  readonly name: string;
  readonly context: string;
  change(): void;
}

function travel(name: string, dir: string, lines: readonly string[]): Travel {
  mkdirSync(dir, { recursive: true });
  const text = ['FROM base', ...lines, 'COPY code /code', ''];
  writeFileSync(join(dir, 'Dockerfile'), text.join('\n'));
  const change = (): void =>
    writeFileSync(join(dir, 'code'), `written at ${process.hrtime.bigint()}\n`);
  change();
  return { name, context: dir, change };
}

function travels(root: string): Travel[] {
  const steps = Array.from({ length: 60 }, (_, i) => `RUN echo ${i} > /f${i}`);
  return [
    travel('T: 60 RUN steps', join(root, 'steps'), steps),
    travel(`F: ${mib} MiB in one COPY`, large(mib)(root).context, ['COPY a.bin b.bin /data/']),
  ];
}

interface Places {
  readonly root: string;
  readonly cache: string;
  /** Of its own registry: what the cache's has would be mounted, not sent. */
  readonly image: string;
  /** The relays in front of the registries. */
  readonly relays: readonly Counted[];
}

/** Every state of a workload, in its order, for a builder whose caches travel. */
async function journey(
  peer: Peer,
  what: Travel,
  { root, cache, image, relays }: Places,
): Promise<void> {
  const state = async (title: string, ends: Ends = {}): Promise<void> => {
    const sample = await measure([peer.build(what.context, 'bench', ends)]);
    say(peer.name, title, sample, relays);
  };
  const archive = join(root, 'out.tar');
  const max = { cacheTo: `${cache},mode=max,compression=zstd` };
  const push = { output: `type=image,name=${image},push=true,compression=zstd` };
  await peer.clear();
  await state('build, nothing exported');
  await state('first cache export, zstd, with the cached build', max);
  await state('the same again, nothing changed', max);
  what.change();
  await state('one file changed, build alone');
  await state('the same build again, with its cache export', max);
  await state('OCI archive, zstd', { output: `type=oci,dest=${archive},compression=zstd` });
  console.log(`           the archive has ${statSync(archive).size} bytes`);
  rmSync(archive);
  await state('first push, zstd', push);
  what.change();
  await state('one file changed and pushed', push);
  await state('its cache export', max);
  await peer.clear();
  await state('new machine, nothing changed', { cacheFrom: cache });
  await peer.clear();
  what.change();
  await state('new machine, one file changed and pushed', { ...push, cacheFrom: cache });
}

function say(
  peer: string,
  title: string,
  {
    seconds,
    cpuSeconds,
    peakMiB,
  }: { readonly seconds: number; readonly cpuSeconds: number; readonly peakMiB: number },
  relays: readonly Counted[],
): void {
  const traffic = relays.map((relay) => relay.take());
  const mb = (of: 'sent' | 'received'): string =>
    (traffic.reduce((sum, each) => sum + each[of], 0) / 1e6).toFixed(2);
  console.log(
    `  ${peer.padEnd(8)} ${title.padEnd(52)} ${seconds.toFixed(2)} s, ${cpuSeconds.toFixed(2)} CPU s, peak ${peakMiB.toFixed(0)} MiB, sent ${mb('sent')} MB, received ${mb('received')} MB`,
  );
}

/** What buildah has of it. */
async function withoutCache(
  peer: Peer,
  what: Travel,
  { root, image, relays }: Places,
): Promise<void> {
  const build = peer.build(what.context, 'bench');
  const storage = build.argv.slice(0, build.argv.indexOf('build'));
  const run = async (title: string, argv: readonly string[]): Promise<void> =>
    say(peer.name, title, await measure([{ argv }]), relays);
  const push = ['push', '--quiet', '--tls-verify=false', '--compression-format', 'zstd', 'bench'];
  const archive = join(root, 'peer.tar');
  await peer.clear();
  await run('build, nothing exported', build.argv);
  await run('first push, zstd', [...storage, ...push, `docker://${image}`]);
  what.change();
  await run('one file changed, build alone', build.argv);
  await run('push of it', [...storage, ...push, `docker://${image}`]);
  const archived = ['push', '--quiet', 'bench', `oci-archive:${archive}`];
  await run('OCI archive, its own compression', [...storage, ...archived]);
  rmSync(archive);
}

using disk = makeDisk(80);
const { root } = disk;
const layout = makeBase(root, options.base === 'debian' ? 'debian' : 'busybox');
const wanted = options.peers.split(',');
const peers = await startPeers(root, layout, (name) => wanted.includes(name));
try {
  console.log(
    `${disk.what}, base ${options.base}; ${peers.map((p) => `${p.name}: ${p.version}`).join('; ')}`,
  );
  for (const each of travels(root).filter(({ name }) => options.only.includes(name[0] ?? ''))) {
    console.log(`${each.name} (load ${loadavg()[0]?.toFixed(1) ?? ''})`);
    for (const peer of peers) {
      await using registry = await startRegistry();
      await using images = await startRegistry();
      await using caching = await Counted.start(registry.host);
      await using pushing = await Counted.start(images.host);
      const image = `${pushing.host}/bench/app:latest`;
      const cache = `type=registry,ref=${caching.host}/bench/cache:latest`;
      const relays = [caching, pushing];
      const go = peer.name === 'buildah' ? withoutCache : journey;
      await go(peer, each, { root, cache, image, relays });
    }
  }
} finally {
  for (const peer of peers) await peer.stop();
}
