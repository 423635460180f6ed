import { filesOfSources } from '../context-sizes.ts';
import {
  type Item,
  isContextCopy,
  localSources,
  type StageModel,
  takesAll,
} from '../dockerfile-model.ts';
import { type Install, isManifest } from '../package-managers.ts';
import { resolvePath, workdirs } from '../paths.ts';
import { blocksOf, insertBefore, moveBefore, placeOf } from './blocks.ts';
import type { Rewrite, Rewriter, Subject } from './rewrite.ts';

/** Installs move above copies that they do not need; manifests that they need are copied first. */
export const hoistInstalls: Rewriter = (subject) =>
  subject.model.stages.flatMap((stage) =>
    stage.items.flatMap((item) => {
      const found = hoist(subject, stage, item);
      return found === undefined ? [] : [found];
    }),
  );

/** Instructions that an install may pass: they touch no file and no environment. */
const PASSED = new Set([
  ...['label', 'expose', 'cmd', 'entrypoint', 'healthcheck', 'stopsignal', 'maintainer'],
]);

function hoist(subject: Subject, stage: StageModel, item: Item): Rewrite | undefined {
  const { items } = stage;
  const installs = item.calls.flatMap(({ install }) => install ?? []);
  const [install] = installs;
  if (install === undefined || installs.some(({ what }) => what === 'build')) return undefined;
  if (item.mounts.some(({ type }) => type === 'bind')) return undefined;
  const at = items.indexOf(item);
  const dirs = workdirs(stage);
  let target: Item | undefined;
  const manifests = new Map<string, readonly string[]>();
  for (let i = at - 1; i >= 0; i--) {
    const above = items[i];
    if (above === undefined || PASSED.has(above.command.kind)) continue;
    const passed = passes(subject, above, installs);
    if (passed === undefined) break;
    const { command } = above;
    if (passed.length > 0 && (command.kind === 'copy' || command.kind === 'add'))
      for (const path of passed) {
        const dest = destOf(path, command, dirs[i] ?? '/');
        if (dest === undefined) return undefined;
        manifests.set(dest, [...(manifests.get(dest) ?? []), path]);
      }
    target = above;
  }
  if (target === undefined) return undefined;
  const blocks = blocksOf(subject.model);
  const to = placeOf(blocks, target.command);
  const moved = moveBefore(blocks, placeOf(blocks, item.command), to);
  const copies = [...manifests].map(([dest, paths]) => `COPY ${paths.join(' ')} ${dest}\n`);
  const names = [...manifests.values()].flat();
  return {
    key: `install ${item.command.code}`,
    kind: 'install-first',
    title:
      names.length > 0
        ? `${install.manager.name} installs before the sources are copied; ${names.join(', ')} come first`
        : `${install.manager.name} installs before the sources are copied`,
    result: copies.reduceRight((all, text) => insertBefore(all, to, text), moved),
    drops: [],
  };
}

/** What of a copy an install needs: nothing (empty), some files of it, or so much that it cannot pass (undefined). */
function passes(
  { facts }: Subject,
  { command }: Item,
  installs: readonly Install[],
): readonly string[] | undefined {
  if (!isContextCopy(command) || command.contents.length > 0) return undefined;
  const sources = localSources(command);
  const needed = filesOfSources(facts, sources)
    .map(({ path }) => path)
    .filter((path) => installs.some((install) => needs(install, path)));
  if (needed.length === 0) return [];
  // A copy of manifests only is what the install stands on.
  const others = filesOfSources(facts, sources).length - needed.length;
  return others === 0 ? undefined : needed;
}

/** Files that an install reads: named ones, and manifests at the top of the project. */
function needs({ manager, files, what }: Install, path: string): boolean {
  if (files.some((file) => path === file.replace(/^(?:\.\/|\/[^/]+\/)/, '') || `/${path}` === file))
    return true;
  if (files.length > 0 && what === 'manifest') return false;
  return what === 'manifest' && !path.includes('/') && isManifest(manager, path);
}

/** The directory that a file of a copied tree lands in, as a COPY of it alone names it. */
function destOf(
  path: string,
  command: Extract<Item['command'], { kind: 'copy' | 'add' }>,
  workdir: string,
): string | undefined {
  const slash = path.lastIndexOf('/');
  const dir = slash === -1 ? '' : path.slice(0, slash);
  const [source = '', second] = localSources(command);
  if (takesAll(command)) return directory(workdir, command.dest.value, dir);
  if (second !== undefined) return undefined;
  const root = source.replace(/^(?:\.?\/)+/, '').replace(/\/+$/, '');
  if (!path.startsWith(`${root}/`)) return undefined;
  return directory(workdir, command.dest.value, dir.slice(root.length));
}

function directory(workdir: string, dest: string, below: string): string {
  const full = resolvePath(resolvePath(workdir, dest), `./${below}`);
  const base = workdir === '/' ? '/' : `${workdir}/`;
  if (full === workdir) return './';
  return full.startsWith(base) && workdir !== '/'
    ? `./${full.slice(base.length)}/`
    : `${full === '/' ? '' : full}/`;
}
