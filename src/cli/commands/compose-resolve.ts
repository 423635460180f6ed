import { arch } from 'node:os';
import { resolve } from 'node:path';
import { type GoJson, type Result, writeAtomically } from '../../base/index.ts';
import { hostPlatform } from '../../oci/index.ts';
import type { GraphPackage } from '../../report/index.ts';
import {
  isOsTemplate,
  LOCK_ATTR,
  type LockedPackage,
  osRoots,
  parseLock,
  type TemplateLock,
} from '../../template/index.ts';
import { Options } from '../build-request.ts';
import { contextName, givenBase, givenTemplates } from '../compose/given-templates.ts';
import { packagesPageOf } from '../compose/inventory.ts';
import { loadOsTemplate, parseBase, readSource } from '../compose/load-template.ts';
import { type Locks, writeLocks } from '../compose/lock-file.ts';
import { withSettings } from '../compose/settings.ts';
import { fail, type Io, printJson, table } from '../io.ts';
import { type GivenTemplates, lazyPackages } from '../lazy-packages.ts';
import { formatBytes } from '../progress/text.ts';
import { openStore } from '../store.ts';

/**
 * `varve compose resolve TEMPLATE`: the packages of the root, each with its reason; nothing is downloaded but indexes. With
 * `--lock` the choice is kept for `--frozen`.
 */
export async function composeResolve(
  outer: Io,
  file: string,
  values: Readonly<Record<string, unknown>>,
): Promise<number> {
  const options = new Options(values);
  const settings = withSettings(outer, options);
  if (!settings.ok) return fail(outer, settings.error);
  const io = settings.value;
  const given = resolution(io, file, options);
  if (!given.ok) return fail(io, given.error);
  await using resources = new AsyncDisposableStack();
  const opened = openStore(io);
  if (!opened.ok) return fail(io, opened.error);
  const store = resources.use(opened.value);
  const packages = lazyPackages(io, store, resources, given.value.given);
  const root = await packages.lockTemplate(file, hostPlatform(arch()), io.signal);
  if (!root.ok) return fail(io, root.error);
  const lock = parseLock(root.value.attrs[LOCK_ATTR] ?? '');
  if (!lock.ok) return fail(io, lock.error);
  const path = options.text('lock');
  if (path !== undefined && !options.is('frozen')) {
    for (const name of given.value.given.templates.keys()) {
      const tools = await packages.lockTemplate(name, hostPlatform(arch()), io.signal);
      if (!tools.ok) return fail(io, tools.error);
    }
    await writeLocks(io, path, given.value.locks);
  }
  const page = options.text('html');
  if (page !== undefined) {
    const { distribution, suite, packages: chosen } = lock.value;
    const packagesPage = await packagesPageOf();
    const title = `${file} (${distribution} ${suite})`;
    const html = packagesPage({ title, packages: chosen.map(graphPackage) });
    await writeAtomically(resolve(io.cwd, page), Buffer.from(html));
  }
  // A lock holds only JSON values; an interface has no index signature to say so.
  if (options.is('json')) printJson(io, lock.value as unknown as GoJson);
  else io.out(text(lock.value));
  return 0;
}

function resolution(
  io: Io,
  file: string,
  options: Options,
): Result<{ readonly given: GivenTemplates; readonly locks: Locks }> {
  const source = readSource(io, file);
  if (!source.ok) return source;
  if (!isOsTemplate(source.value.text)) {
    const template = parseBase(source.value);
    return template.ok ? givenBase(io, { file, template: template.value, options }) : template;
  }
  const loaded = loadOsTemplate(io, file);
  if (!loaded.ok) return loaded;
  const roots = osRoots(loaded.value.template, loaded.value.provider);
  if (!roots.ok) return roots;
  return givenTemplates(io, { file: contextName(file, 'root'), roots: roots.value, options });
}

/** A lock does not say which source a package is built from. */
const graphPackage = ({ name, version, needs = [] }: LockedPackage): GraphPackage => ({
  ...{ id: name, name, version, needs },
  source: name,
});

function text(lock: TemplateLock): string {
  const rows = lock.packages.map((p: LockedPackage) => [
    p.name,
    p.version,
    p.architecture,
    p.reason,
  ]);
  const bytes = lock.packages.reduce((sum, p) => sum + p.size, 0);
  return `${table([['NAME', 'VERSION', 'ARCH', 'WHY'], ...rows])}\n${lock.packages.length} packages, ${formatBytes(bytes)} of ${lock.distribution} ${lock.suite} ${lock.architecture}\n`;
}
