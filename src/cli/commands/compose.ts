import { isOsTemplate } from '../../template/index.ts';
import { composeRequest, Options } from '../build-request.ts';
import { readSource } from '../compose/load-template.ts';
import { fail, type Io } from '../io.ts';
import { openStore } from '../store.ts';
import { runBuild } from './build.ts';
import { composeDisk } from './compose-disk.ts';

/** `varve compose TEMPLATE`: a root file system or image whose only base is the template, or the disk that it describes. */
export async function composeCommand(
  io: Io,
  template: string,
  values: Readonly<Record<string, unknown>>,
): Promise<number> {
  const options = new Options(values);
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
  return await runBuild(io, store, { request: request.value, options, resources });
}
