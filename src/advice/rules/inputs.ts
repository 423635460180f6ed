import { type Call, type Item, installsOf, isRemote, type Model } from '../dockerfile-model.ts';
import type { AdviceRule, Finding } from '../finding.ts';

/** A base image without a digest. */
export const UNPINNED_BASE: AdviceRule = {
  id: 'unpinned-base',
  severity: 'info',
  title: 'a base image is named by a tag, which may become another image',
};

/** A download whose content is not checked. */
export const UNPINNED_DOWNLOAD: AdviceRule = {
  id: 'unpinned-download',
  severity: 'info',
  title: 'a step downloads what the cache key does not know and nothing checks',
};

/** A system package without a version. */
export const UNPINNED_PACKAGE: AdviceRule = {
  id: 'unpinned-package',
  severity: 'info',
  title: 'packages are installed without a version',
};

/** Bases by tag (info), or by no tag at all or `latest` (warning). */
export function unpinnedBases(model: Model): readonly Finding[] {
  const names = new Set<string>();
  return model.stages.flatMap(({ stage }) => {
    const { base, stageName } = stage;
    const name = base.value;
    const known = names.has(name.toLowerCase());
    if (stageName !== '') names.add(stageName);
    if (known || name === 'scratch' || name.includes('$') || name.includes('@sha256:')) return [];
    const tag = /:([^/:]+)$/.exec(name)?.[1];
    const moves = tag === undefined || tag === 'latest';
    return [
      {
        rule: UNPINNED_BASE.id,
        severity: moves ? 'warning' : UNPINNED_BASE.severity,
        message: moves
          ? `${name} is whatever is newest when it is pulled`
          : `${name} becomes another image when its tag is moved`,
        fix: moves
          ? 'name a version, and its digest (name:tag@sha256:…)'
          : 'add its digest: name:tag@sha256:…',
        span: base.span,
        affected: [],
        blame: { kind: 'none' } as const,
      },
    ];
  });
}

/** Programs that check what was downloaded, in the same step. */
const CHECKS =
  /(?:^|\/)(?:sha(?:1|224|256|384|512)sum|shasum|md5sum|b2sum|gpg|gpgv|gpg2|cosign|minisign|openssl|apt-key|rpm|Get-FileHash)$/;

/** `curl`, `wget`, `git clone` and ADD of an address without a check of what comes. */
export function unpinnedDownloads(model: Model): readonly Finding[] {
  return model.stages.flatMap(({ items }) =>
    items.flatMap((item) => {
      if (item.command.kind === 'add') return addedAddresses(item);
      if (item.command.kind !== 'run') return [];
      const checked = item.calls.some(({ words }) => CHECKS.test(words[0] ?? ''));
      const found = item.calls.flatMap((call) => download(call, item, checked));
      // One finding a step is enough: they are mended together.
      return found.slice(0, 1);
    }),
  );
}

function download(call: Call, item: Item, checked: boolean): readonly Finding[] {
  const [program = '', ...rest] = call.words;
  if (program === 'git' && rest.includes('clone')) {
    const pinned = item.calls.some(
      ({ words }) =>
        words[0] === 'git' &&
        /^(?:checkout|reset|switch)$/.test(
          words.find((w, i) => i > 0 && !w.startsWith('-') && words[i - 1] !== '-C') ?? '',
        ),
    );
    if (pinned) return [];
    const branch = /(?:^| )(?:-b|--branch|--revision)[ =](\S+)/.exec(rest.join(' '))?.[1];
    const moves = branch === undefined || /^(?:main|master|develop|dev|HEAD)$/.test(branch);
    if (!moves) return [];
    return [
      finding(
        call,
        item,
        'what git clones here is cached as it was when this step ran first, and never seen again',
        'check out a commit, or use ADD with a repository#commit',
        'warning',
      ),
    ];
  }
  if (!/^(?:curl|wget)$/.test(program) || checked) return [];
  const address = rest.find((word) => /:\/\//.test(word)) ?? '';
  if (/localhost|127\.0\.0\.1/.test(address)) return [];
  if (rest.includes('--version') || rest.includes('-V') || address === '') return [];
  const moves = /latest|\/master\/|\/main\/|\/HEAD\/|nightly/.test(address);
  return [
    finding(
      call,
      item,
      `what ${program} fetches is not part of the cache key, and nothing checks it`,
      'use ADD --checksum=sha256:… or compare its checksum in the same RUN',
      moves ? 'warning' : 'info',
    ),
  ];
}

function finding(
  call: Call,
  item: Item,
  message: string,
  fix: string,
  severity: Finding['severity'],
): Finding {
  return {
    ...{ rule: UNPINNED_DOWNLOAD.id, severity, message, fix, span: call.span },
    affected: [item.command.span],
    blame: { kind: 'none' },
  };
}

function addedAddresses(item: Item): readonly Finding[] {
  const { command } = item;
  if (command.kind !== 'add' || command.checksum !== '') return [];
  return command.sources
    .filter(
      ({ value }) =>
        isRemote(value) &&
        !/\.git(?:#[0-9a-f]{40}|[^#]*$)|#[0-9a-f]{40}$|checksum=|commit=/.test(value),
    )
    .map(({ span }) => ({
      rule: UNPINNED_DOWNLOAD.id,
      severity: UNPINNED_DOWNLOAD.severity,
      message: 'nothing checks what this address returns',
      fix: 'add --checksum=sha256:…',
      span,
      affected: [command.span],
      blame: { kind: 'none' } as const,
    }));
}

/** System packages without `=version`, once a step. */
export function unpinnedPackages(model: Model): readonly Finding[] {
  const seen = new Set<number>();
  return model.stages.flatMap(({ items }) =>
    installsOf(items).flatMap(({ item, call, install }) => {
      const separator =
        install.manager.name === 'pip' ? /[=<>@~]|\.whl$|:\/\// : /[=~@<>]|-[0-9]|^\.?\//;
      if (install.what !== 'packages' || !/^(?:apt|apk|pip)$/.test(install.manager.name)) return [];
      const loose = install.packages.filter((name) => !separator.test(name) && !name.includes('$'));
      if (loose.length === 0 || seen.has(item.command.span.offset)) return [];
      seen.add(item.command.span.offset);
      const shown = loose.slice(0, 3).join(', ');
      return [
        {
          rule: UNPINNED_PACKAGE.id,
          severity: UNPINNED_PACKAGE.severity,
          message: `${shown}${loose.length > 3 ? ` and ${loose.length - 3} more` : ''} ${loose.length === 1 ? 'has' : 'have'} no version`,
          fix:
            install.manager.name === 'pip'
              ? 'name versions (name==1.2), or install from a lock file'
              : 'name versions (name=1.2), or take packages from a snapshot of the repository',
          span: call.span,
          affected: [item.command.span],
          blame: { kind: 'none' } as const,
        },
      ];
    }),
  );
}
