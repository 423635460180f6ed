/** Builders that are compared: Varve, and what of buildah, Debian's Docker and a given BuildKit is there. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildkit, buildx, docker } from './daemon-peers.ts';
import { isThere, must, type Peer } from './peer.ts';

const repo = join(import.meta.dirname, '..');
const VARVE = join(repo, 'bin/varve');
const nothing = async (): Promise<void> => await Promise.resolve();

/**
 * An OCI layout `base:latest`, made by Varve itself and read by every peer: one static busybox, or (`debian`) what `base.yml` says.
 */
export function makeBase(root: string, kind: 'busybox' | 'debian'): string {
  const layout = join(root, 'base-layout');
  const out = ['-t', 'base:latest', '-o', `type=oci,dest=${layout},tar=false`];
  const env = { VARVE_ROOT: join(root, 'base-store') };
  if (kind === 'debian') {
    const template = join(import.meta.dirname, 'base.yml');
    must([VARVE, 'compose', '--progress=plain', ...out, template], env);
    rmSync(env.VARVE_ROOT, { recursive: true });
    return layout;
  }
  const dir = join(root, 'base');
  mkdirSync(dir, { recursive: true });
  copyFileSync('/bin/busybox', join(dir, 'busybox'));
  const applets = ['sh', 'echo', 'cat', 'seq', 'mkdir', 'chmod', 'chown', 'ls', 'true', 'rm'];
  const copies = applets.map((name) => `COPY busybox /bin/${name}`);
  const text = ['FROM scratch', ...copies, 'CMD ["/bin/sh"]', ''];
  writeFileSync(join(dir, 'Dockerfile'), text.join('\n'));
  must([VARVE, 'build', '--progress=plain', ...out, dir], env);
  return layout;
}

/** The builders whose names are wanted, started. */
export async function startPeers(
  root: string,
  layout: string,
  wanted: (name: string) => boolean,
): Promise<Peer[]> {
  const makers = {
    varve: (at: string, base: string) => varve(at, base, 'varve'),
    plain: (at: string, base: string) => varve(at, base, 'plain'),
    extracted: (at: string, base: string) => varve(at, base, 'extracted'),
    buildah,
    docker,
    buildkit,
    buildx,
  };
  const peers: Peer[] = [];
  for (const [name, make] of Object.entries(makers)) {
    if (!wanted(name)) continue;
    const peer = await make(root, layout);
    if (typeof peer === 'string') console.log(`${name} is not compared: ${peer}`);
    else peers.push(peer);
  }
  return peers;
}

/** Varve in the three ways that it is measured. */
export const OURS = ['varve', 'plain', 'extracted'] as const;

/**
 * Varve as it is called by default; with layers that are not compressed (`plain`), since what Docker's engine and buildah make of
 * a build is an image whose layers nobody has compressed yet; and with layers that are always extracted (`extracted`).
 */
function varve(root: string, layout: string, name: (typeof OURS)[number]): Peer {
  const store = join(root, name);
  const base = ['--build-context', `base=oci-layout://${layout}:latest`];
  return {
    name,
    version: must([VARVE, '--version']),
    build: (context, tag, { output, cacheTo, cacheFrom } = {}) => ({
      argv: [
        ...[VARVE, 'build', '--progress=plain', ...base],
        ...(output === undefined ? imageOf(name, tag) : ['-o', output]),
        ...(cacheTo === undefined ? [] : ['--cache-to', cacheTo]),
        ...(cacheFrom === undefined ? [] : ['--cache-from', cacheFrom]),
        context,
      ],
      env: {
        VARVE_ROOT: store,
        ...(name === 'extracted' ? { VARVE_SNAPSHOTS: 'directories' } : {}),
      },
    }),
    clear: () => rmSync(store, { recursive: true, force: true }),
    stop: nothing,
  };
}

function imageOf(name: (typeof OURS)[number], tag: string): string[] {
  return name === 'plain'
    ? ['-o', `type=image,name=${tag}:latest,compression=uncompressed`]
    : ['-t', `${tag}:latest`];
}

function buildah(root: string, layout: string): Peer | string {
  if (!isThere('buildah') || !isThere('skopeo')) return 'buildah or skopeo is not installed';
  const [graph, run] = [join(root, 'buildah/root'), join(root, 'buildah/run')];
  const storage = ['--root', graph, '--runroot', run, '--storage-driver', 'overlay'];
  const target = `containers-storage:[overlay@${graph}+${run}]localhost/base:latest`;
  const load = (): string => must(['skopeo', 'copy', '-q', `oci:${layout}:latest`, target]);
  const flags = [
    '--layers',
    '--jobs',
    '2',
    '--isolation',
    'oci',
    '--runtime',
    'runc',
    '--pull-never',
  ];
  return {
    name: 'buildah',
    version: must(['buildah', '--version']),
    build: (context, tag) => ({
      argv: ['buildah', ...storage, 'build', ...flags, '-t', tag, context],
    }),
    clear: () => {
      spawnSync('buildah', [...storage, 'rmi', '-a', '-f']);
      load();
    },
    stop: nothing,
  };
}
