import { type Digest, digestOfHex, err, failure, ok, type Result } from '../base/index.ts';

/** A file that a Release file vouches for. */
export interface ReleaseFile {
  readonly size: number;
  readonly sha256: Digest;
}

/** The fields of a Release file that matter here (repository format, "Release files"). */
export interface Release {
  readonly origin?: string;
  readonly label?: string;
  readonly suite?: string;
  readonly codename?: string;
  /** Seconds since the epoch. */
  readonly date: number;
  readonly validUntil?: number;
  readonly byHash: boolean;
  /** `NotAutomatic: yes` lowers the pin priority to 1, with `ButAutomaticUpgrades: yes` to 100 (apt_preferences(5)). */
  readonly notAutomatic: boolean;
  readonly butAutomaticUpgrades: boolean;
  readonly architectures: readonly string[];
  readonly components: readonly string[];
  /** Whether packages of architecture `all` are in indexes of their own only. */
  readonly separateAll: boolean;
  readonly files: ReadonlyMap<string, ReleaseFile>;
}

/** Parses the signed text of a Release file. PK010: a field that must be there is not, or is malformed. */
export function parseRelease(text: string, name: string): Result<Release> {
  const { fields, files, bad } = readFields(text);
  const field = (key: string): string | undefined => fields.get(key);
  const flag = (key: string): boolean => field(key)?.toLowerCase() === 'yes';
  const date = parseDate(field('date'));
  if (date === undefined) return err(broken(name, `Date is ${quoted(field('date'))}`));
  const until = field('valid-until');
  const validUntil = parseDate(until);
  if (until !== undefined && validUntil === undefined)
    return err(broken(name, `Valid-Until is ${quoted(until)}`));
  if (bad !== undefined) return err(broken(name, `SHA256 has the line ${quoted(bad)}`));
  if (files.size === 0) return err(broken(name, 'it lists no SHA256'));
  const noAll = field('no-support-for-architecture-all') ?? '';
  const architectures = list(field('architectures'));
  return ok({
    ...optional('origin', field('origin')),
    ...optional('label', field('label')),
    ...optional('suite', field('suite')),
    ...optional('codename', field('codename')),
    date,
    ...(validUntil === undefined ? {} : { validUntil }),
    byHash: flag('acquire-by-hash'),
    notAutomatic: flag('notautomatic'),
    butAutomaticUpgrades: flag('butautomaticupgrades'),
    architectures,
    components: list(field('components')),
    separateAll: architectures.includes('all') && !list(noAll).includes('Packages'),
    files,
  });
}

const broken = (name: string, what: string) =>
  failure('PK010', 3, `Release file of ${name} is not usable: ${what}`, {
    help: 'the mirror is broken or not a Debian repository',
  });

const quoted = (text: string | undefined): string =>
  text === undefined ? 'absent' : JSON.stringify(text);
const list = (text: string | undefined): string[] =>
  (text ?? '').split(/\s+/).filter((word) => word !== '');
const optional = <K extends string>(key: K, value: string | undefined): { [k in K]?: string } =>
  // The computed key is K; TypeScript widens it to string.
  (value === undefined ? {} : { [key]: value }) as { [k in K]?: string };

interface Fields {
  readonly fields: ReadonlyMap<string, string>;
  readonly files: ReadonlyMap<string, ReleaseFile>;
  /** The first malformed line of the file list. */
  readonly bad: string | undefined;
}

function readFields(text: string): Fields {
  const fields = new Map<string, string>();
  const files = new Map<string, ReleaseFile>();
  let current = '';
  let bad: string | undefined;
  for (const line of text.split('\n')) {
    if (line.startsWith(' ')) {
      if (current !== 'sha256') continue;
      const [, hex = '', size = '', path = ''] = FILE_LINE.exec(line) ?? [];
      if (path === '') bad ??= line;
      else files.set(path, { size: Number(size), sha256: digestOfHex(hex) });
      continue;
    }
    const colon = line.indexOf(':');
    if (colon === -1) continue;
    current = line.slice(0, colon).toLowerCase();
    // The first of two equal fields counts, so that nothing appended can change what was read.
    if (!fields.has(current)) fields.set(current, line.slice(colon + 1).trim());
  }
  return { fields, files, bad };
}

const FILE_LINE = /^ +([0-9a-f]{64}) +(\d{1,15}) +((?!\/)(?!(?:\S*\/)?\.\.(?:\/|$))\S+)\s*$/;

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const DATE =
  /^(?:[A-Z][a-z]{2}, )?(\d{1,2}) ([A-Z][a-z]{2}) (\d{4}) (\d{1,2}):(\d{2}):(\d{2}) (?:UTC|GMT|Z|\+0000)$/;

/** RFC 2822 in UTC, the only form the format allows; the host's date parser is not asked. */
function parseDate(text: string | undefined): number | undefined {
  const match = DATE.exec(text ?? '');
  if (match === null) return undefined;
  const [, day, month = '', year, hour, minute, second] = match;
  const at = MONTHS.indexOf(month);
  if (at === -1) return undefined;
  return (
    Date.UTC(Number(year), at, Number(day), Number(hour), Number(minute), Number(second)) / 1000
  );
}
