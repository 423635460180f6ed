import { composeRequest, Options } from '../build-request.ts';
import { fail, type Io } from '../io.ts';
import { openStore } from '../store.ts';
import { runBuild } from './build.ts';

/** `varve compose TEMPLATE`: a build whose only base is the template. */
export async function composeCommand(
  io: Io,
  template: string,
  values: Readonly<Record<string, unknown>>,
): Promise<number> {
  const options = new Options(values);
  await using resources = new AsyncDisposableStack();
  const opened = openStore(io);
  if (!opened.ok) return fail(io, opened.error);
  const store = resources.use(opened.value);
  const request = await composeRequest(io, template, options, { root: store.root, resources });
  if (!request.ok) return fail(io, request.error);
  return await runBuild(io, store, { request: request.value, options, resources });
}
