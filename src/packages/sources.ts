/*
 * apt's lists of repositories: one-line style (`deb [options] uri suite component...`) and deb822 style, both sources.list(5).
 */

/** One suite of one repository. */
export interface AptSource {
  /** Base URI without a trailing slash. */
  readonly uri: string;
  readonly suite: string;
  /** Empty for a flat repository (suite ends in `/`). */
  readonly components: readonly string[];
  /** Absent: every architecture. */
  readonly architectures?: readonly string[];
  /** Paths of keyrings, or one ASCII-armoured key. */
  readonly signedBy: readonly string[];
  /** `Trusted: yes`: apt would skip the signature. It is never skipped here; kept so that a failure can say so. */
  readonly trusted: boolean;
  /** `Check-Valid-Until` of the entry itself. */
  readonly checkValidUntil?: boolean;
  /** `Check-Date` of the entry itself. */
  readonly checkDate?: boolean;
  /** Where the entry stands: `debian.sources:1`. */
  readonly origin: string;
}

/** Reads a one-line style list; `origin` names the file. Source packages (`deb-src`) are left out. */
export function parseSourceList(text: string, origin: string): AptSource[] {
  return text.split('\n').flatMap((line, i) => {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s*([^#]*)/.exec(line);
    if (match === null) return [];
    const [, options = '', uri = '', suite = '', components = ''] = match;
    const named = new Map(
      [...options.matchAll(/([\w-]+)\s*[+-]?=\s*("[^"]*"|\S+)/g)].map(
        ([, key = '', value = '']) => [key.toLowerCase(), value.replaceAll('"', '')],
      ),
    );
    const option = (key: string): string | undefined => named.get(key);
    return [
      source({ uri, suite, components: words(components), origin: `${origin}:${i + 1}` }, option),
    ];
  });
}

/** Reads a deb822 style file; stanzas with `Enabled: no` and source packages are left out. */
export function parseDeb822Sources(text: string, origin: string): AptSource[] {
  return stanzas(text).flatMap(({ fields, line }) => {
    const field = (key: string): string | undefined => fields.get(key);
    if (!words(field('types')).includes('deb') || no(field('enabled'))) return [];
    const option = (key: string): string | undefined => {
      const name = ONE_LINE_TO_DEB822.get(key) ?? key;
      return field(name);
    };
    return words(field('uris')).flatMap((uri) =>
      words(field('suites')).map((suite) =>
        source(
          { uri, suite, components: words(field('components')), origin: `${origin}:${line}` },
          option,
        ),
      ),
    );
  });
}

/** Options whose deb822 field is not the option's own name (sources.list(5), "THE DEB AND DEB-SRC TYPES: OPTIONS"). */
const ONE_LINE_TO_DEB822: ReadonlyMap<string, string> = new Map([['arch', 'architectures']]);

function source(
  base: Pick<AptSource, 'uri' | 'suite' | 'components' | 'origin'>,
  option: (key: string) => string | undefined,
): AptSource {
  const architectures = words(option('arch')?.replaceAll(',', ' '));
  const validUntil = option('check-valid-until');
  const date = option('check-date');
  return {
    ...base,
    uri: base.uri.replace(/\/+$/, ''),
    ...(architectures.length === 0 ? {} : { architectures }),
    signedBy: signedBy(option('signed-by')),
    trusted: yes(option('trusted')),
    ...(validUntil === undefined ? {} : { checkValidUntil: !no(validUntil) }),
    ...(date === undefined ? {} : { checkDate: !no(date) }),
  };
}

/** Paths, or the inline key: continuation lines where a lone dot is an empty line (deb822(5)). */
function signedBy(value: string | undefined): string[] {
  if (value === undefined) return [];
  if (!value.includes('-----BEGIN')) return value.split(/[\s,]+/).filter((s) => s !== '');
  const key = value
    .split('\n')
    .map((line) => (line.trim() === '.' ? '' : line.trim()))
    .join('\n')
    .trim();
  return [`${key}\n`];
}

interface Stanza {
  readonly fields: ReadonlyMap<string, string>;
  readonly line: number;
}

function stanzas(text: string): Stanza[] {
  const all: { fields: Map<string, string>; line: number }[] = [];
  let last: string | undefined;
  let open = false;
  for (const [i, line] of text.split('\n').entries()) {
    if (line.startsWith('#')) continue;
    if (line.trim() === '') {
      open = false;
      continue;
    }
    if (!open) all.push({ fields: new Map(), line: i + 1 });
    open = true;
    const fields = all.at(-1)?.fields;
    const match = /^([^\s:]+):\s*(.*)$/.exec(line);
    if (/^\s/.test(line)) {
      if (last !== undefined) fields?.set(last, `${fields.get(last) ?? ''}\n${line.trim()}`);
    } else if (match !== null) {
      last = (match[1] ?? '').toLowerCase();
      fields?.set(last, match[2] ?? '');
    }
  }
  return all;
}

const words = (text: string | undefined): string[] =>
  (text ?? '').split(/\s+/).filter((word) => word !== '');
const no = (text: string | undefined): boolean =>
  /^(?:no|false|off|0|without|disable)$/i.test(text?.trim() ?? '');
const yes = (text: string | undefined): boolean =>
  /^(?:yes|true|on|1|with|enable)$/i.test(text?.trim() ?? '');
