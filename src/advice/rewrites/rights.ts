import type { AddCommand, CopyCommand } from '../../dockerfile/index.ts';
import { type Item, isContextCopy, localSources, type StageModel } from '../dockerfile-model.ts';
import { isWithin, resolvePath, workdirs } from '../paths.ts';
import { blocksOf, edit, moveBefore, placeOf, removeAt, withFlag } from './blocks.ts';
import type { Rewrite, Rewriter, Subject } from './rewrite.ts';

type Copy = CopyCommand | AddCommand;

/** A `chmod` of files that were copied becomes `COPY --chmod`. */
export const copyWithMode: Rewriter = (subject) =>
  subject.model.stages.flatMap((stage) =>
    stage.items.flatMap((item) => modeRewrite(subject, stage, item) ?? []),
  );

function modeRewrite(subject: Subject, stage: StageModel, item: Item): Rewrite | undefined {
  const { items } = stage;
  const [call, another] = item.calls;
  const [program, mode = '', ...paths] = call?.words ?? [];
  if (another !== undefined || program !== 'chmod' || paths.length === 0) return undefined;
  if (item.mounts.length > 0) return undefined;
  const dirs = workdirs(stage);
  const at = items.indexOf(item);
  const wanted: { readonly copy: Copy; readonly mode: string }[] = [];
  for (const path of paths) {
    const full = resolvePath(dirs[at] ?? '/', path);
    const i = items.findLastIndex(
      ({ command }, each) => each < at && landsAt(command, dirs[each] ?? '/', full),
    );
    const command = items[i]?.command;
    if (command === undefined || !isContextCopy(command) || command.chmod !== '') return undefined;
    const [source = ''] = localSources(command);
    const file = subject.facts.files.find(
      (each) => each.path === source.replace(/^(?:\.?\/)+/, ''),
    );
    const result = file === undefined ? undefined : modeAfter(file.mode, mode);
    if (result === undefined) return undefined;
    wanted.push({ copy: command, mode: result });
  }
  const blocks = blocksOf(subject.model);
  const flagged = wanted.reduce(
    (all, { copy, mode: octal }) =>
      edit(all, placeOf(blocks, copy), (text) => withFlag(text, copy.name, `--chmod=${octal}`)),
    blocks,
  );
  return {
    key: `chmod ${item.command.code}`,
    kind: 'copy-chmod',
    title: `COPY --chmod instead of ${item.command.code}`,
    result: removeAt(flagged, placeOf(blocks, item.command)),
    drops: [],
  };
}

/** Whether a copy of one file makes the file at a path. */
function landsAt(command: Item['command'], workdir: string, full: string): boolean {
  if (!isContextCopy(command) || command.sources.length !== 1) return false;
  const dest = command.dest.value;
  const root = resolvePath(workdir, dest);
  const name = (localSources(command)[0] ?? '').replace(/^.*\//, '');
  return root === full || (/(?:\/|^\.)$/.test(dest) && resolvePath(root, name) === full);
}

/** The mode of a file after `chmod`, in octal; undefined for what is not understood. */
function modeAfter(mode: number, change: string): string | undefined {
  if (/^[0-7]{3,4}$/.test(change)) return change;
  const clause = /^([ugoa]*)([+-])([rwx]+)$/.exec(change);
  if (clause === null) return undefined;
  const [, who = '', sign, what = ''] = clause;
  const whom = who === '' || who.includes('a') ? 'ugo' : who;
  const shifts = { u: 6, g: 3, o: 0 } as const;
  const bits = { r: 4, w: 2, x: 1 } as const;
  let mask = 0;
  for (const [letter, shift] of Object.entries(shifts))
    if (whom.includes(letter))
      for (const [right, bit] of Object.entries(bits))
        if (what.includes(right)) mask |= bit << shift;
  // Without "whom" the umask of steps (022) holds back what it holds back.
  if (who === '') mask &= ~0o022;
  const result = sign === '+' ? mode | mask : mode & ~mask;
  return `0${(result & 0o7777).toString(8)}`;
}

/** A recursive `chown` moves above the copies of its tree, which get `--chown`: only what steps made is written again. */
export const copyWithOwner: Rewriter = (subject) =>
  subject.model.stages.flatMap((stage) =>
    stage.items.flatMap((item) => ownerRewrite(subject, stage, item) ?? []),
  );

/** Instructions that touch neither files nor the environment of steps. */
const PASSED = new Set([
  ...['label', 'expose', 'cmd', 'entrypoint', 'healthcheck', 'stopsignal', 'env', 'arg'],
]);

function ownerRewrite(subject: Subject, stage: StageModel, item: Item): Rewrite | undefined {
  const { items } = stage;
  const owner = ownerOf(item);
  if (owner === undefined) return undefined;
  const dirs = workdirs(stage);
  const at = items.indexOf(item);
  const roots = owner.paths.map((path) => resolvePath(dirs[at] ?? '/', path));
  const copies: Copy[] = [];
  let top = at;
  for (let i = at - 1; i >= 0; i--) {
    const command = items[i]?.command;
    if (command === undefined) break;
    if (command.kind === 'copy' || command.kind === 'add') {
      const dest = resolvePath(dirs[i] ?? '/', command.dest.value);
      if (roots.some((root) => isWithin(root, dest))) {
        if (command.chown !== '') break;
        copies.push(command);
        top = i;
      }
    } else if (!PASSED.has(command.kind)) break;
  }
  if (copies.length === 0) return undefined;
  const blocks = blocksOf(subject.model);
  const flagged = copies.reduce(
    (all, copy) =>
      edit(all, placeOf(blocks, copy), (text) =>
        withFlag(text, copy.name, `--chown=${owner.spec}`),
      ),
    blocks,
  );
  const from = placeOf(blocks, item.command);
  const target = items[top]?.command ?? item.command;
  const stays = items.slice(0, top).some(({ command }, i) => makes(command, dirs[i] ?? '/', roots));
  return {
    key: `chown ${item.command.code}`,
    kind: 'copy-chown',
    title: `COPY --chown instead of ${item.command.code}${stays ? ' below the copies' : ''}`,
    result: stays ? moveBefore(flagged, from, placeOf(blocks, target)) : removeAt(flagged, from),
    drops: [],
  };
}

/** Owner and paths of a step that is one recursive `chown`. */
function ownerOf(
  item: Item,
): { readonly spec: string; readonly paths: readonly string[] } | undefined {
  const [call, another] = item.calls;
  const [program, ...rest] = call?.words ?? [];
  if (another !== undefined || program !== 'chown' || item.mounts.length > 0) return undefined;
  const options = rest.filter((word) => word.startsWith('-'));
  if (!options.some((word) => /^(?:-[vc]*R[vc]*|--recursive)$/.test(word))) return undefined;
  const [spec = '', ...paths] = rest.filter((word) => !word.startsWith('-'));
  if (options.length !== 1 || paths.length === 0 || !/^[\w-]+(?:[:.][\w-]+)?$/.test(spec))
    return undefined;
  // Without a group, the group stays what COPY made it: root's.
  return { spec: /[:.]/.test(spec) ? spec.replace('.', ':') : `${spec}:0`, paths };
}

/** Whether an instruction may have made something below one of these paths. */
function makes(command: Item['command'], workdir: string, roots: readonly string[]): boolean {
  switch (command.kind) {
    case 'workdir':
      return roots.some((root) => isWithin(root, resolvePath(workdir, command.path.value)));
    case 'copy':
    case 'add':
      return roots.some((root) => isWithin(root, resolvePath(workdir, command.dest.value)));
    case 'run':
      return roots.some((root) => isWithin(root, workdir) || command.code.includes(root));
    default:
      return false;
  }
}
