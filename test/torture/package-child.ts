/** Locks a template and downloads all its packages into a store: `package-child.ts STORE HOST NOW`. Prints what it has. */
import { join } from 'node:path';
import { diskFailure, FailureError, makeDirectory } from '../../src/base/index.ts';
import { createWorkLocks, openStateDb } from '../../src/cachedb/index.ts';
import { removeUnfinished } from '../../src/cli/unfinished.ts';
import { createNamesFile } from '../../src/content/index.ts';
import { createPackageStore } from '../../src/packages/index.ts';
import { parseTemplate } from '../../src/template/index.ts';

const [store = '', host = '', now = '0'] = process.argv.slice(2);
const { signal } = new AbortController();
// As the program does with what nobody caught.
process.on('uncaughtException', (e) => {
  const failure = diskFailure(e);
  process.stderr.write(failure === undefined ? `${e.stack}\n` : `error[${failure.code}]\n`);
  process.exit(failure?.exit ?? 70);
});
// As the program holds a lease while it works with packages.
makeDirectory(store, 0o700);
const opened = openStateDb({
  path: join(store, 'state.db'),
  clock: { now: () => Date.now() },
  names: createNamesFile(join(store, 'content')),
});
if (!opened.ok) throw new FailureError(opened.error);
// The leases of the dead are gone with that; what they left goes as at the start of every command.
if (opened.value.abandoned > 0) removeUnfinished(store);
using stack = new DisposableStack();
const db = stack.adopt(opened.value, (each) => each.close());
await using _lease = db.leases.open('packages');
const parsed = parseTemplate({
  path: 'os.yml',
  text: 'suite: stable\nvariant: essential\npackages: [tool]\n',
});
if (!parsed.ok) throw new Error('the template of the harness is wrong');
await using packages = createPackageStore({
  root: join(store, 'packages'),
  clock: { now: () => Number(now) },
  locks: createWorkLocks(join(store, 'locks')),
  hostRoot: host,
  onDamage: ({ name }) => process.stderr.write(`damaged: ${name}\n`),
});
const warn = (text: string): void => void process.stderr.write(`${text}\n`);
const options = { architecture: 'amd64', refresh: 'auto', warn, signal } as const;
const lock = await packages.resolve(parsed.value, options);
if (!lock.ok) throw new Error(lock.error.message, { cause: lock.error.cause });
for (const wanted of lock.value.packages) {
  const got = await packages.obtain(lock.value, wanted, { signal });
  if (!got.ok) throw new Error(got.error.message, { cause: got.error.cause });
  process.stdout.write(`${wanted.name} ${wanted.sha256}\n`);
}
