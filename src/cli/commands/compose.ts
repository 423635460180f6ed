import { parse } from 'node:path';
import type { SourceFile } from '../../base/index.ts';
import type { BuildRequest } from '../../build/index.ts';
import { DATABASE_COPY, databaseFile, type InventorySubject } from '../../disk/index.ts';
import { isOsTemplate, type RootTemplate } from '../../template/index.ts';
import { boundedRun } from '../bounded-run.ts';
import { composeRequest, Options } from '../build-request.ts';
import { withLog } from '../command-log.ts';
import { givenBase } from '../compose/given-templates.ts';
import { writeInventory } from '../compose/inventory.ts';
import { parseBase, readSource } from '../compose/load-template.ts';
import { writeLocks } from '../compose/lock-file.ts';
import { withSettings } from '../compose/settings.ts';
import { verifyTree } from '../compose/verify-tree.ts';
import { fail, type Io } from '../io.ts';
import { openStore, type Store } from '../store.ts';
import { runBuild } from './build.ts';
import { composeDisk } from './compose-disk.ts';

/** `varve compose TEMPLATE`: a root file system or image whose only base is the template, or the disk that it describes. */
export async function composeCommand(
  outer: Io,
  template: string,
  values: Readonly<Record<string, unknown>>,
): Promise<number> {
  const options = new Options(values);
  const settings = withSettings(outer, options);
  if (!settings.ok) return fail(outer, settings.error);
  return await withLog(settings.value, async (logged) =>
    boundedRun(logged, options, (io, own) => compose(io, template, own)),
  );
}

async function compose(io: Io, template: string, options: Options): Promise<number> {
  await using resources = new AsyncDisposableStack();
  const source = readSource(io, template);
  if (!source.ok) return fail(io, source.error);
  const opened = openStore(io);
  if (!opened.ok) return fail(io, opened.error);
  const store = resources.use(opened.value);
  if (isOsTemplate(source.value.text))
    return await composeDisk(io, store, { file: template, options, resources });
  return await composeBase(io, store, { file: template, source: source.value, options, resources });
}

/** A template that is one root. */
async function composeBase(
  io: Io,
  store: Store,
  work: {
    readonly file: string;
    readonly source: SourceFile;
    readonly options: Options;
    readonly resources: AsyncDisposableStack;
  },
): Promise<number> {
  const { file, options, resources } = work;
  const template = parseBase(work.source);
  if (!template.ok) return fail(io, template.error);
  const known = givenBase(io, { file, template: template.value, options });
  if (!known.ok) return fail(io, known.error);
  const { given, locks } = known.value;
  const request = await composeRequest(io, file, options, { root: store.root, resources });
  if (!request.ok) return fail(io, request.error);
  const run = async (change: Partial<BuildRequest>, clean = options.is('clean')): Promise<number> =>
    await runBuild(io, store, {
      request: { ...request.value, ...change, ...(clean ? { noCache: 'all' } : {}) },
      ...{ options, resources, templates: { ...given, clean } },
    });
  if (options.is('verify'))
    return await verifyTree(io, store, async (outputs, clean) => await run({ outputs }, clean));
  const code = await run({});
  if (code !== 0) return code;
  const isRpm = template.value.kind === 'rpm-root';
  const listed = await writeInventory(io, store, {
    options,
    subject: subjectOf(file, template.value),
    format: isRpm ? 'rpm' : 'deb',
    fetch: async (outputs) =>
      await run({ outputs, dockerfile: databaseStage(request.value, template.value) }, false),
  });
  if (listed !== 0) return listed;
  const lock = options.text('lock');
  if (lock !== undefined && !options.is('frozen')) await writeLocks(io, lock, locks);
  return 0;
}

const subjectOf = (file: string, t: RootTemplate): Omit<InventorySubject, 'time'> => ({
  name: parse(file).name,
  version: t.kind === 'rpm-root' ? t.release : t.suite,
  distribution: t.distribution,
});

/** A stage with nothing but the database of packages of the root. */
function databaseStage(request: BuildRequest, t: RootTemplate): BuildRequest['dockerfile'] {
  const [base = ''] = request.namedContexts.keys();
  const path = databaseFile(
    t.kind === 'rpm-root'
      ? { format: 'rpm', databasePath: t.dbPath }
      : { format: 'deb', databasePath: '' },
  );
  const text = `FROM scratch\nCOPY --from=${base} ${path} /${DATABASE_COPY}\n`;
  return { kind: 'text', text, shown: 'package database' };
}

/** `varve compose verify TEMPLATE`. */
export async function composeVerify(
  io: Io,
  template: string,
  values: Readonly<Record<string, unknown>>,
): Promise<number> {
  return await composeCommand(io, template, { ...values, verify: true });
}
