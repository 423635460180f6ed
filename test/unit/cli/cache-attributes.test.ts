import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cacheFromFlag, cacheToFlag } from '../../../src/cli/flags/cache.ts';
import { note } from '../../rig/golden.ts';

const DOC = join(import.meta.dirname, '../../../docs/cache.md');
const claims = { ac: JSON.stringify([{ Scope: 'refs/heads/main', Permission: 3 }]) };
const TOKEN = `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`;

/** What a flag of each type needs at least, for reading and for writing. */
const LEAST: Readonly<Record<string, readonly [Settings, Settings]>> = {
  registry: same({ ref: 'reg.example.com/app/cache' }),
  local: [{ src: '/d' }, { dest: '/d' }],
  inline: same({}),
  gha: same({ url_v2: 'https://results.example.com/', token: TOKEN }),
  s3: same({ bucket: 'ci', region: 'eu' }),
  dir: same({ path: '/d' }),
};
/** What some settings need besides. */
const WITH: Readonly<Record<string, Settings>> = {
  'sign-days': { 'sign-key': 'k' },
  strict: { 'require-signature': 'k' },
  fallback: { scope: 'a' },
  secret_access_key: { access_key_id: 'id' },
  access_key_id: { secret_access_key: 'key' },
  session_token: { access_key_id: 'id', secret_access_key: 'key' },
  rights: { scope: 'a' },
  ghtoken: { repository: 'o/r' },
  repository: { ghtoken: 'T' },
};

type Settings = Readonly<Record<string, string>>;

function same(settings: Settings): readonly [Settings, Settings] {
  return [settings, settings];
}

interface Row {
  readonly key: string;
  readonly value: string;
  /** By type: `from`, `to`, `both` or `-`. */
  readonly cells: Readonly<Record<string, string>>;
  readonly meaning: string;
}

/** The table of settings by type in the documentation. */
function documented(): readonly Row[] {
  const text = readFileSync(DOC, 'utf8');
  const lines = text.slice(text.indexOf('## Settings by type')).split('\n');
  const cellsOf = (line: string): string[] =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim());
  const at = lines.findIndex((line) => line.startsWith('| setting'));
  const [, ...types] = cellsOf(lines[at] ?? '').slice(0, -1);
  const rows: Row[] = [];
  for (const line of lines.slice(at + 2)) {
    if (!line.startsWith('|')) break;
    const [setting = '', ...rest] = cellsOf(line);
    const [, key = '', value = ''] = /^`([^=]+)=(.*)`$/.exec(setting) ?? [];
    const cells = Object.fromEntries(types.map((type, i) => [type, rest[i] ?? '']));
    rows.push({
      key,
      value: value.replace('…', 'a'.repeat(64)),
      cells,
      meaning: rest.at(-1) ?? '',
    });
  }
  return rows;
}

const FLAGS = { from: cacheFromFlag, to: cacheToFlag } as const;

/** What a flag of these settings is read as; the text of the failure where it is refused. */
function parsed(direction: 'from' | 'to', type: string, settings: Settings): string {
  const fields = Object.entries({ type, ...settings }).map(([key, value]) => `${key}=${value}`);
  const io = { cwd: '/work', env: {} };
  const done = FLAGS[direction](fields.join(','), io);
  const shown = (_key: string, value: unknown): unknown =>
    // Secrets hide what they hold.
    typeof value === 'object' && value !== null && 'reveal' in value
      ? (value as { reveal(): string }).reveal()
      : value;
  return done.ok ? JSON.stringify(done.value, shown) : `refused: ${done.error.message}`;
}

test('each setting is taken by the types that the documentation says, with an effect, and refused by the others by name', () => {
  const wrong: string[] = [];
  let cells = 0;
  const rows = documented();
  for (const { key, value, cells: row, meaning } of rows)
    for (const [type, cell] of Object.entries(row))
      for (const direction of ['from', 'to'] as const) {
        cells++;
        const least = (LEAST[type] ?? [{}, {}])[direction === 'from' ? 0 : 1];
        const { [key]: _own, ...without } = { ...least, ...WITH[key] };
        const with_ = parsed(direction, type, { ...without, [key]: value });
        const bare = parsed(direction, type, { ...least, ...WITH[key] });
        const name = `${key} of ${type} ${direction}`;
        if (cell === 'both' || cell === direction) {
          if (with_.startsWith('refused')) wrong.push(`${name}: ${with_}`);
          else if ((with_ === bare) !== meaning.startsWith('no effect'))
            wrong.push(`${name}: ${with_ === bare ? 'no effect' : 'an effect'}`);
        } else if (!['from', 'to', '-'].includes(cell)) wrong.push(`${name}: cell "${cell}"`);
        else if (!with_.startsWith('refused') || !(with_.includes(key) || type === 'inline'))
          wrong.push(`${name}: taken, or refused for something else: ${with_}`);
      }
  assert.deepEqual(wrong, []);
  note(`settings of caches: ${rows.length} settings, ${cells} cells`);
});
