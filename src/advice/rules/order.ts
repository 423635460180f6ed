import { sizeOfSources } from '../context-sizes.ts';
import {
  type Item,
  installsOf,
  isContextCopy,
  localSources,
  type Model,
  type StageModel,
  takesAll,
} from '../dockerfile-model.ts';
import type { AdviceRule, ContextFacts, Finding } from '../finding.ts';
import { type Install, isManifest } from '../package-managers.ts';

/** Sources are copied before dependencies are installed. */
export const CONTEXT_BEFORE_INSTALL: AdviceRule = {
  id: 'context-before-install',
  severity: 'warning',
  title: 'sources are copied before dependencies are installed',
};

/** Files that change often are copied below large ones. */
export const SMALL_BEFORE_LARGE: AdviceRule = {
  id: 'small-before-large',
  severity: 'warning',
  title: 'a small copy stands above a large one, which is written again with it',
};

/** The first install of each manager that comes after a copy of more than its manifests. */
export function contextBeforeInstall(model: Model): readonly Finding[] {
  return model.stages.flatMap((stage) => {
    const seen = new Set<string>();
    return installsOf(stage.items).flatMap(({ item, call, install }) => {
      const { manager } = install;
      const first = !seen.has(manager.name);
      // What compiles needs the sources; it is at fault only where nothing was fetched before.
      seen.add(manager.name);
      const copy = first ? copyAbove(stage, item, install) : undefined;
      if (copy === undefined) return [];
      const { command } = copy;
      const what = takesAll(command) ? 'the whole context' : sourceText(command);
      return [
        {
          rule: CONTEXT_BEFORE_INSTALL.id,
          severity: CONTEXT_BEFORE_INSTALL.severity,
          message: `${what} is copied before ${manager.name} installs packages, so that every change of it installs them again`,
          fix: fixOf(install),
          span: command.span,
          other: { span: call.span, note: 'installs' },
          affected: [item.command.span],
          blame: { kind: 'cause', span: command.span, except: manager.manifests },
        },
      ];
    });
  });
}

function copyAbove(
  { items }: StageModel,
  item: Item,
  install: Install,
): { readonly command: Extract<Item['command'], { kind: 'copy' | 'add' }> } | undefined {
  const above = items.slice(0, items.indexOf(item));
  const wanted = above.flatMap(({ command }) => {
    if (!isContextCopy(command)) return [];
    if (takesAll(command)) return [{ command }];
    const others = localSources(command).filter((source) => !isNeeded(source, install));
    // Single files (scripts, configurations) are often what the install itself reads.
    const trees = others.filter((source) => isTree(source));
    return trees.length > 0 && install.manager.kind === 'language' ? [{ command }] : [];
  });
  return wanted[0];
}

function isNeeded(source: string, { manager, files }: Install): boolean {
  const clean = source.replace(/^\.\//, '');
  if (isManifest(manager, clean)) return true;
  return files.some(
    (file) => file.endsWith(clean) || file.includes(`${clean.replace(/\/$/, '')}/`),
  );
}

/** A directory, by how it is written: with a slash at its end, or a name without an extension. */
const isTree = (source: string): boolean =>
  source.endsWith('/') ||
  (!/[*?[$]/.test(source) &&
    !/\.[A-Za-z0-9]+$/.test(source) &&
    /^(?:\.\/)?(?:src|app|lib|pkg|cmd|internal|server|client|web|api|public|packages|apps)(?:\/|$)/.test(
      source,
    ));

const sourceText = (command: Extract<Item['command'], { kind: 'copy' | 'add' }>): string =>
  localSources(command).join(', ');

function fixOf({ manager, what, files }: Install): string {
  if (what === 'packages' || manager.kind === 'system')
    return 'move the install above the copy: it uses nothing of it';
  const names = files.length > 0 ? files : manager.manifests.slice(0, 2);
  const fetch = FETCH[manager.name];
  const step = what === 'build' && fetch !== undefined ? `run "${fetch}"` : 'install';
  return `copy ${names.join(' and ')} first, ${step}, then copy the rest`;
}

/** How managers whose builds fetch packages on the way fetch them alone. */
const FETCH: Readonly<Record<string, string>> = {
  go: 'go mod download',
  cargo: 'cargo fetch',
  maven: 'mvn dependency:go-offline',
  gradle: 'gradle dependencies',
};

/** Below this nothing is gained by another order. */
const LARGE = 1 << 20;
const TIMES = 8;

/** Neighbouring copies of which the upper one is small and the lower one large: needs the sizes of the context. */
export function smallBeforeLarge(model: Model, facts: ContextFacts): readonly Finding[] {
  return model.stages.flatMap(({ items }) => {
    const copies = items.flatMap(({ command }) =>
      isContextCopy(command) && !takesAll(command)
        ? [{ command, bytes: sizeOfSources(facts, localSources(command)) }]
        : [],
    );
    return copies.flatMap(({ command, bytes }, i) => {
      const above = copies
        .slice(0, i)
        .findLast((other) => bytes >= LARGE && bytes >= TIMES * other.bytes && other.bytes > 0);
      if (above === undefined || isStable(localSources(above.command))) return [];
      return [
        {
          rule: SMALL_BEFORE_LARGE.id,
          severity: SMALL_BEFORE_LARGE.severity,
          message: `${sourceText(command)} is written again whenever ${sourceText(above.command)} changes`,
          fix: 'copy what is large and seldom changes first, or give this copy --link',
          span: command.span,
          other: { span: above.command.span, note: 'changes more often' },
          affected: [command.span],
          blame: { kind: 'cause', span: above.command.span, except: [] } as const,
          contextBytes: bytes,
        },
      ];
    });
  });
}

/** Manifests and lock files change less often than what is installed by them is large. */
const isStable = (sources: readonly string[]): boolean =>
  sources.every((source) =>
    /(?:requirements[^/]*\.txt|package(?:-lock)?\.json|\.lock|go\.(?:mod|sum)|pom\.xml|Gemfile|pyproject\.toml)$/.test(
      source,
    ),
  );
