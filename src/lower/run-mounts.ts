import { type Mount, parseMount, type RunCommand } from '../dockerfile/index.ts';
import type { SecretEnv } from '../llb/index.ts';
import type { PlannedMount, PlannedSecret } from './exec-node.ts';
import { mkdirNode } from './file-node.ts';
import { noteMount } from './outline.ts';
import { baseName, cleanPath, joinPath } from './paths.ts';
import type { Lowering, PlannedCommand, StageState } from './stage-state.ts';
import { type At, stop } from './stop.ts';

/** The mounts of a RUN instruction, by kind. */
export interface RunMounts {
  readonly mounts: PlannedMount[];
  readonly secrets: PlannedSecret[];
  readonly secretEnv: SecretEnv[];
  readonly ssh: PlannedSecret[];
}

/** What an expander is for one instruction. */
export type ExpandText = (word: string) => string;

/** Stages that the mounts of a RUN read from, as far as they can be known before variables are; `''` is the context. */
export function mountSources(command: RunCommand): readonly string[] {
  return command.mounts.map((word) => {
    // A value that needs variables fails here and is reported when the instruction is lowered; `from` holds none.
    if (!word.value.toLowerCase().includes('from=')) return '';
    const from = /(?:^|,)"?from=([^,"]*)/i.exec(word.value);
    return from?.[1] ?? '';
  });
}

/** Plans the mounts of a RUN instruction (BuildKit dockerfile2llb/convert_runmount.go). */
export function planMounts(
  lowering: Lowering,
  stage: StageState,
  planned: PlannedCommand,
  expand: ExpandText,
): RunMounts {
  const found: RunMounts = { mounts: [], secrets: [], secretEnv: [], ssh: [] };
  if (planned.command.kind !== 'run') return found;
  const parsed = planned.command.mounts.map((word) => {
    const mount = parseMount(word.value, (text) => ({ ok: true, value: expand(text) }));
    return mount.ok ? mount.value : stop(mount.error, 'DF015');
  });
  parsed.forEach((mount, i) => {
    if (mount.type === 'secret') planSecret(found, mount, { stage, at: planned.at });
    else if (mount.type === 'ssh') planSsh(found, mount, { stage, at: planned.at });
    else found.mounts.push(planMount(lowering, stage, mount, planned.sources[i]));
  });
  return found;
}

function planMount(
  lowering: Lowering,
  stage: StageState,
  mount: Mount,
  source: StageState | undefined,
): PlannedMount {
  const fromContext = mount.from === '' && mount.type !== 'cache';
  if (!fromContext && source?.dispatched === false)
    stop(
      `cannot mount from stage "${mount.from}" to "${mount.target}", stage needs to be defined before current command`,
      'DF022',
    );
  let from = fromContext ? lowering.context : source?.state.output;
  if (mount.type === 'tmpfs') from = undefined;
  const absolute = cleanPath(mount.target).startsWith('/');
  const dest = absolute ? mount.target : joinPath('/', stage.state.dir, mount.target);
  if (dest === '/') stop(`invalid mount target "${dest}"`, 'DF015');
  let selector = joinPath('/', mount.source);
  if (selector === '/') {
    selector = '';
    if (mount.uid !== undefined || mount.gid !== undefined || mount.mode !== undefined) {
      from = ownedCache(mount, from);
      selector = '/cache';
    }
  }
  const paths = fromContext ? lowering.contextPaths : source?.paths;
  paths?.add(joinPath('/', mount.source));
  return {
    dest,
    from,
    selector,
    readonly: mount.readonly,
    noOutput: mount.type === 'bind',
    ...(mount.type === 'tmpfs' ? { tmpfs: { size: mount.sizeLimit } } : {}),
    ...(mount.type === 'cache' ? { cache: cacheOf(lowering, mount) } : {}),
  };
}

const SHARING = { '': 0, shared: 0, private: 1, locked: 2 } as const;

function cacheOf(lowering: Lowering, mount: Mount): NonNullable<PlannedMount['cache']> {
  const id = mount.id === '' ? cleanPath(mount.target) : mount.id;
  return { ID: `${lowering.cacheNamespace}/${id}`, sharing: SHARING[mount.sharing] };
}

/** The directory a cache starts as when its owner or mode is given. */
function ownedCache(mount: Mount, base: PlannedMount['from']): PlannedMount['from'] {
  const owner = `${mount.uid ?? 0}:${mount.gid ?? 0}`;
  const mkdir = { path: '/cache', mode: mount.mode ?? 0o755, makeParents: false, timestamp: -1n };
  const description = { 'llb.customname': '[internal] setting cache mount permissions' };
  return mkdirNode(base, mkdir, { owner, metadata: { description, caps: ['file.base'] } });
}

interface Place {
  readonly stage: StageState;
  readonly at: At;
}

function planSecret(found: RunMounts, mount: Mount, { stage, at }: Place): void {
  let id = mount.source === '' ? mount.id : mount.source;
  if (id === '') {
    if (mount.target === '') stop('one of source, target required', 'DF015');
    id = baseName(mount.target);
  }
  const { required } = mount;
  noteMount(stage.outline.secrets, { name: id, required, lines: at.lines });
  const optional = !required;
  const asFile = mount.env === undefined || mount.target !== '';
  if (asFile) {
    const dest = mount.target === '' ? `/run/secrets/${baseName(id)}` : mount.target;
    const { uid = 0, gid = 0, mode = 0o400 } = mount;
    found.secrets.push({ dest, secret: { ID: id, uid, gid, mode, optional } });
  }
  if (mount.env !== undefined) found.secretEnv.push({ ID: id, name: mount.env, optional });
}

function planSsh(found: RunMounts, mount: Mount, { stage, at }: Place): void {
  if (mount.source !== '') stop('ssh does not support source', 'DF015');
  const dest = mount.target === '' ? `/run/buildkit/ssh_agent.${found.ssh.length}` : mount.target;
  const { uid = 0, gid = 0, mode = 0o600, id, required } = mount;
  const name = id === '' ? 'default' : id;
  noteMount(stage.outline.ssh, { name, required, lines: at.lines });
  found.ssh.push({ dest, secret: { ID: id, uid, gid, mode, optional: !required } });
}
