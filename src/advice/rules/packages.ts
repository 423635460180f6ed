import { type Call, type Item, installsOf, type Model } from '../dockerfile-model.ts';
import type { AdviceRule, Finding } from '../finding.ts';
import type { Install, Manager } from '../package-managers.ts';

/** An install downloads its packages each time it runs. */
export const NO_CACHE_MOUNT: AdviceRule = {
  id: 'no-cache-mount',
  severity: 'info',
  title: 'a package manager runs without a cache mount, and downloads everything again',
};

/** What a package manager downloaded stays in the layer. */
export const LISTS_KEPT: AdviceRule = {
  id: 'lists-kept',
  severity: 'warning',
  title: 'package lists or downloaded packages stay in the image',
};

/** A package list is refreshed in a step of its own. */
export const UPDATE_ALONE: AdviceRule = {
  id: 'update-alone',
  severity: 'warning',
  title:
    'package lists are refreshed in a step of their own, which is cached until they are out of date',
};

/** Compilers stay in the image. */
export const BUILD_TOOLS: AdviceRule = {
  id: 'build-tools-in-image',
  severity: 'info',
  title: 'compilers and headers stay in the final image',
};

/** Installs without a cache mount, once a step and manager. */
export function noCacheMount(model: Model): readonly Finding[] {
  return model.stages.flatMap(({ items }) =>
    distinct(items).flatMap(({ item, call, install: { manager } }) => {
      if (item.mounts.some((mount) => isCacheOf(manager, mount.type, mount.target))) return [];
      const mounts = manager.caches
        .map(
          ({ target, sharing }) =>
            `--mount=type=cache,target=${target}${sharing === undefined ? '' : `,sharing=${sharing}`}`,
        )
        .join(' ');
      return [
        {
          rule: NO_CACHE_MOUNT.id,
          severity: NO_CACHE_MOUNT.severity,
          message: `${manager.name} downloads its packages again whenever this step runs`,
          fix: `add ${mounts}`,
          span: call.span,
          affected: [item.command.span],
          blame: { kind: 'every' } as const,
        },
      ];
    }),
  );
}

/** A cache mount at or above one of a manager's directories, or any that is named like it. */
function isCacheOf(manager: Manager, type: string, target: string): boolean {
  if (type !== 'cache') return false;
  const clean = target.replace(/\/$/, '');
  return (
    manager.caches.some(
      (cache) => cache.target.startsWith(clean) || clean.startsWith(cache.target),
    ) ||
    clean.includes('cache') ||
    clean.includes(manager.name) ||
    /pkg\/mod|registry|store|archives|\.m2|\.gradle|nuget|zypp/.test(clean)
  );
}

/** The first install of each manager in each step. */
function distinct(items: readonly Item[]): ReturnType<typeof installsOf> {
  const seen = new Set<string>();
  return installsOf(items).filter(({ item, install }) => {
    const key = `${item.command.span.offset} ${install.manager.name}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

/** Downloads that stay in a stage that the image is made of. */
export function listsKept(model: Model): readonly Finding[] {
  return model.stages
    .filter(({ inImage }) => inImage)
    .flatMap(({ items }) =>
      distinct(items).flatMap(({ item, call, install }) => {
        const kept = keptBy(item, install, items);
        if (kept === undefined) return [];
        return [
          {
            rule: LISTS_KEPT.id,
            severity: LISTS_KEPT.severity,
            message: `${kept.what} stay in the layer`,
            fix: kept.fix,
            span: call.span,
            affected: [item.command.span],
            blame: { kind: 'none' } as const,
          },
        ];
      }),
    );
}

function keptBy(
  item: Item,
  { manager }: Install,
  items: readonly Item[],
): { readonly what: string; readonly fix: string } | undefined {
  if (item.mounts.some((mount) => isCacheOf(manager, mount.type, mount.target))) return undefined;
  const called = item.calls.map(({ words }) => words.join(' '));
  const has = (pattern: RegExp): boolean => called.some((text) => pattern.test(text));
  switch (manager.name) {
    case 'apt':
      return has(/^rm .*\/var\/lib\/apt|^rm .*\/var\/lib\/\{?.*apt|^find \/var\/lib\/apt/)
        ? undefined
        : {
            what: 'the package lists of apt',
            fix: 'end the step with rm -rf /var/lib/apt/lists/*, or use cache mounts',
          };
    case 'apk':
      return has(/^apk .*--no-cache|^apk .*cache clean|^rm .*\/var\/cache\/apk/)
        ? undefined
        : { what: 'the package index of apk', fix: 'use apk add --no-cache' };
    case 'pip':
      return has(
        /^\S*(?:pip|python)\S* .*--no-cache-dir|pip cache purge|^rm .*(?:\.cache|\/root)/,
      ) ||
        items.some(
          ({ command }) => command.kind === 'env' && command.code.includes('PIP_NO_CACHE_DIR'),
        ) ||
        item.command.code.includes('PIP_NO_CACHE_DIR')
        ? undefined
        : { what: 'the packages that pip downloaded', fix: 'use a cache mount, or --no-cache-dir' };
    case 'dnf':
    case 'yum':
    case 'zypper':
      return has(/(?:dnf|yum|zypper) .*clean|^rm .*\/var\/cache|setopt=keepcache=0/)
        ? undefined
        : {
            what: `the packages and metadata of ${manager.name}`,
            fix: `end the step with ${manager.name} clean all, or use a cache mount`,
          };
    default:
      return undefined;
  }
}

/** The word that refreshes lists; with others "update" means a newer system. */
const REFRESHES: Readonly<Record<string, string>> = {
  'apt-get': 'update',
  apt: 'update',
  apk: 'update',
  zypper: 'refresh',
};

/** A refresh without an install in the same step, followed by installs in others. */
export function updateAlone(model: Model): readonly Finding[] {
  return model.stages.flatMap(({ items }) =>
    items.flatMap((item, i) => {
      const call = item.calls.find(({ words }) => refreshes(words));
      if (
        call === undefined ||
        item.calls.some(({ install }) => install?.manager.kind === 'system')
      )
        return [];
      if (/upgrade/.test(item.command.code)) return [];
      const later = installsOf(items.slice(i + 1)).find(
        ({ install }) => install.manager.kind === 'system',
      );
      if (later === undefined) return [];
      if (later.item.calls.some(({ words }) => refreshes(words))) return [];
      return [
        {
          rule: UPDATE_ALONE.id,
          severity: UPDATE_ALONE.severity,
          message:
            'the lists are cached as they were when this step ran, and installs below fail or are out of date later',
          fix: 'refresh and install in one RUN',
          span: call.span,
          other: { span: later.call.span, note: 'uses the lists' },
          affected: [item.command.span],
          blame: { kind: 'none' } as const,
        },
      ];
    }),
  );
}

const refreshes = (words: readonly string[]): boolean =>
  words.some((word) => word === REFRESHES[words[0] ?? '']);

const TOOLS =
  /^(?:build-essential|build-base|gcc|g\+\+|clang|make|cmake|autoconf|automake|libtool|pkg-config|pkgconf|musl-dev|linux-headers|python3?-dev|libc6?-dev|gcc-c\+\+|golang(?:-go)?|rustc|cargo|ninja-build|[a-z0-9.+-]+-dev(?:el)?)$/;

/** Build tools that the final image keeps. */
export function buildTools(model: Model): readonly Finding[] {
  return model.stages
    .filter(({ inImage }) => inImage)
    .flatMap(({ items }) =>
      items.flatMap((item) => {
        const removed = item.calls.some(({ words }) => removes(words));
        if (removed) return [];
        return item.calls.flatMap((call) => toolsOf(call, item));
      }),
    );
}

/** Packages of a call that are compilers, headers and the like, as they are written. */
export function toolPackages({ install }: Call): readonly string[] {
  if (install?.manager.kind !== 'system') return [];
  return install.packages.filter((name) => TOOLS.test(name.replace(/[=<>~].*$/, '')));
}

function toolsOf(call: Call, item: Item): readonly Finding[] {
  const tools = toolPackages(call).map((name) => name.replace(/[=<>~].*$/, ''));
  if (tools.length === 0) return [];
  const shown =
    tools.length > 4
      ? `${tools.slice(0, 4).join(', ')} and ${tools.length - 4} more`
      : tools.join(', ');
  return [
    {
      rule: BUILD_TOOLS.id,
      severity: BUILD_TOOLS.severity,
      message: `the final image keeps ${shown}`,
      fix: 'compile in a stage of its own and copy the result, or remove them in the same RUN',
      span: call.span,
      affected: [item.command.span],
      blame: { kind: 'none' },
    },
  ];
}

const removes = (words: readonly string[]): boolean =>
  (words[0] === 'apk' && words.includes('del')) ||
  (/^apt(?:-get)?$/.test(words[0] ?? '') &&
    words.some((word) => /^(?:purge|remove|autoremove)$/.test(word))) ||
  (/^(?:dnf|yum|microdnf|zypper)$/.test(words[0] ?? '') &&
    words.some((word) => /^(?:remove|erase|rm)$/.test(word)));
