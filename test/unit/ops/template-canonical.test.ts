import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { canonicalRoot } from '../../../src/ops/template-canonical.ts';

const needsRoot = userInfo().uid === 0 ? {} : { skip: 'needs root (chown)' };

/** A root in which two packages made their accounts and lists in the given order. */
function root(order: readonly ('alpha' | 'beta')[]): string {
  const dir = mkdtempSync(join(tmpdir(), 'varve-canonical-'));
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), text);
  };
  const rows = (row: (name: string, id: number) => string): string =>
    order.map((name, i) => `${row(name, 100 + i)}\n`).join('');
  write('etc/passwd', `root:x:0:0::/:\n${rows((n, id) => `${n}:x:${id}:${id + 5}::/:`)}`);
  write(
    'etc/group',
    `root:x:0:\nusers:x:100:${order.join(',')}\n${rows((n, id) => `${n}:x:${id + 5}:`)}`,
  );
  write('etc/shadow', `root:*:1:0:::::\n${rows((n) => `${n}:!:2:0:::::`)}`);
  write('etc/gshadow', `root:*::\nusers:*::${order.join(',')}\n${rows((n) => `${n}:!::`)}`);
  write('etc/shells', `# shells\n${rows((n) => `/bin/${n}`)}`);
  write(
    'var/lib/dpkg/triggers/File',
    rows((n) => `/usr/share/${n} ${n}`),
  );
  write(
    'var/lib/dpkg/diversions',
    rows((n) => `/usr/bin/${n}\n/usr/bin/${n}.real\n${n}`),
  );
  write(
    'var/lib/dpkg/statoverride',
    rows((n) => `${n} root 2755 /usr/bin/${n}`),
  );
  write(
    'var/lib/ucf/hashfile',
    rows((n) => `0  /etc/${n}`),
  );
  write('var/lib/ucf/hashfile.0', '');
  order.forEach((name, i) => {
    write(`var/lib/${name}/data`, name);
    chownSync(join(dir, `var/lib/${name}`), 100 + i, 105 + i);
    chownSync(join(dir, `var/lib/${name}/data`), 100 + i, 105 + i);
    chmodSync(join(dir, `var/lib/${name}/data`), 0o6755);
  });
  return dir;
}

/** Each file: owner, mode and text. */
function described(dir: string): Readonly<Record<string, string>> {
  const paths = readdirSync(dir, { recursive: true, encoding: 'utf8' }).sort();
  return Object.fromEntries(
    paths.map((path) => {
      const stat = lstatSync(join(dir, path));
      const text = stat.isFile() ? ` ${readFileSync(join(dir, path), 'utf8')}` : '';
      return [path, `${stat.uid}:${stat.gid} ${(stat.mode & 0o7777).toString(8)}${text}`];
    }),
  );
}

test('roots whose packages came in another order are the same afterwards', needsRoot, () => {
  const roots = [root(['alpha', 'beta']), root(['beta', 'alpha'])];
  try {
    const [one, two] = roots.map((dir) => {
      canonicalRoot(dir, { epoch: 86_400 * 20_000, uids: [], gids: [] });
      return described(dir);
    });
    assert.deepEqual(one, two);
    const ids = /^alpha:x:(\d+):(\d+):/m.exec(one?.['etc/passwd'] ?? '');
    assert.deepEqual(
      {
        owner: one?.['var/lib/alpha/data'],
        shadow: one?.['etc/shadow']?.split('\n'),
        shells: one?.['etc/shells']?.split('\n').slice(0, 3),
        users: /^users:.*$/m.exec(one?.['etc/group'] ?? '')?.[0],
        backup: one?.['var/lib/ucf/hashfile.0'],
      },
      {
        owner: `${ids?.[1] ?? ''}:${ids?.[2] ?? ''} 6755 alpha`,
        shadow: ['0:0 644 root:*:20000:0:::::', 'alpha:!:20000:0:::::', 'beta:!:20000:0:::::', ''],
        shells: ['0:0 644 # shells', '/bin/alpha', '/bin/beta'],
        users: 'users:x:100:alpha,beta',
        backup: undefined,
      },
    );
  } finally {
    for (const dir of roots) rmSync(dir, { recursive: true, force: true });
  }
});

test('a number that an account of the template has is given to no other', needsRoot, () => {
  const dir = root(['alpha']);
  try {
    const options = { epoch: 0, uids: [], gids: [] };
    canonicalRoot(dir, options);
    const uid = (): number =>
      Number(/^alpha:x:(\d+):/m.exec(readFileSync(join(dir, 'etc/passwd'), 'utf8'))?.[1]);
    const taken = uid();
    canonicalRoot(dir, { ...options, uids: [taken] });
    assert.deepEqual([uid(), lstatSync(join(dir, 'var/lib/alpha')).uid], [taken + 1, taken + 1]);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
