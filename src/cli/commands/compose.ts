import type { BuildRequest } from '../../build/index.ts';
import { isOsTemplate } from '../../template/index.ts';
import { composeRequest, Options } from '../build-request.ts';
import { readSource } from '../compose/load-template.ts';
import { withSettings } from '../compose/settings.ts';
import { verifyTree } from '../compose/verify-tree.ts';
import { fail, type Io } from '../io.ts';
import { NO_TEMPLATES } from '../lazy-packages.ts';
import { openStore } from '../store.ts';
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
  const io = settings.value;
  await using resources = new AsyncDisposableStack();
  const source = readSource(io, template);
  if (!source.ok) return fail(io, source.error);
  const opened = openStore(io);
  if (!opened.ok) return fail(io, opened.error);
  const store = resources.use(opened.value);
  if (isOsTemplate(source.value.text))
    return await composeDisk(io, store, { file: template, options, resources });
  const request = await composeRequest(io, template, options, { root: store.root, resources });
  if (!request.ok) return fail(io, request.error);
  const run = async (outputs: BuildRequest['outputs'], clean: boolean): Promise<number> =>
    await runBuild(io, store, {
      request: { ...request.value, outputs, ...(clean ? { noCache: 'all' } : {}) },
      ...{ options, resources, templates: { ...NO_TEMPLATES, clean } },
    });
  if (options.is('verify')) return await verifyTree(io, store, run);
  return await run(request.value.outputs, options.is('clean'));
}

/** `varve compose verify TEMPLATE`. */
export async function composeVerify(
  io: Io,
  template: string,
  values: Readonly<Record<string, unknown>>,
): Promise<number> {
  return await composeCommand(io, template, { ...values, verify: true });
}
