import { ok, type Result } from '../base/index.ts';
import type { BuildRequest } from '../build/index.ts';
import { buildRequest, type Options } from './build-request.ts';
import type { Io } from './io.ts';
import { type Project, readProject } from './read-project.ts';
import { openStore, type Store } from './store.ts';

/** What a command that gives advice works with. */
export interface AdvisedProject {
  readonly store: Store;
  readonly request: BuildRequest;
  readonly project: Project;
}

/** Opens the store and reads the Dockerfile and context that options name; `resources` closes what was opened. */
export async function openAdvisedProject(
  io: Io,
  context: string | undefined,
  options: Options,
  resources: AsyncDisposableStack,
): Promise<Result<AdvisedProject>> {
  const opened = openStore(io);
  if (!opened.ok) return opened;
  const store = resources.use(opened.value);
  const request = await buildRequest(io, context ?? '.', options, { root: store.root, resources });
  if (!request.ok) return request;
  const project = await readProject(request.value, io.signal);
  return project.ok ? ok({ store, request: request.value, project: project.value }) : project;
}
