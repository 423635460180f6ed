import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { byCodeUnit, FailureError, failure, type GoJson, isErrno } from '../../base/index.ts';
import { inspectImage, type StoredImage } from '../../image/index.ts';
import {
  type BuildSteps,
  type ReportData,
  type ReportLayer,
  reportData,
  reportMarkdown,
  reportPage,
  reportPrometheus,
} from '../../report/index.ts';
import { takeInventory } from '../../upkeep/index.ts';
import { readImageFiles } from '../image-files.ts';
import { fail, type Io, printJson } from '../io.ts';
import type { Store } from '../store.ts';
import { withUpkeep } from '../upkeep-world.ts';

type Options = Readonly<Record<string, unknown>>;

/** Builds that a report looks at. */
const BUILDS = 200;

/** Files named of a layer. */
const FILES = 60;

/** `varve report`: what the history says, as a page, JSON, Markdown or Prometheus text. */
export function reportCommand(io: Io, options: Options): Promise<number> {
  return withUpkeep(io, { values: {} }, async (deps, store) => {
    const { history } = store.db;
    const name = typeof options['name'] === 'string' ? options['name'] : undefined;
    const builds = history
      .builds(BUILDS)
      .filter((build) => name === undefined || build.name === name)
      .map((build) => ({ build, steps: history.steps(build.id) }));
    if (builds.length === 0)
      return fail(
        io,
        failure(
          'CL004',
          2,
          name === undefined
            ? 'no build was made here yet'
            : `no build named "${name}" in the history`,
        ),
      );
    const kinds = new Map<string, number>();
    for (const entry of await takeInventory(deps))
      kinds.set(entry.kind, (kinds.get(entry.kind) ?? 0) + entry.bytes);
    const data = reportData({
      at: io.clock.now(),
      builds,
      layers: await layersOf(io, store, builds),
      store: [...kinds].map(([kind, bytes]) => ({ kind, bytes })).sort((a, b) => b.bytes - a.bytes),
    });
    return write(io, data, options);
  });
}

/** A build that had no such step is null, as lists in JSON have no gaps. */
function asJson(data: ReportData): GoJson {
  const steps = data.steps.map((step) => ({ ...step, states: step.states.map((s) => s ?? null) }));
  // The rest of a report are JSON values.
  return { ...data, steps } as unknown as GoJson;
}

function write(io: Io, data: ReportData, options: Options): number {
  if (options['json'] === true) printJson(io, asJson(data));
  else if (options['format'] === 'markdown') io.out(reportMarkdown(data));
  else if (options['format'] === 'prometheus') io.out(reportPrometheus(data));
  else {
    const path = typeof options['output'] === 'string' ? options['output'] : 'varve-report.html';
    if (path === '-') io.out(reportPage(data));
    else {
      try {
        writeFileSync(resolve(io.cwd, path), reportPage(data));
      } catch (e) {
        if (!isErrno(e, 'ENOENT', 'EACCES', 'EISDIR', 'EROFS', 'ENOSPC')) throw e;
        return fail(
          io,
          failure('EX032', 3, `the report cannot be written to ${path}: ${e.code ?? ''}`),
        );
      }
      io.err(`wrote ${path}\n`);
    }
  }
  return 0;
}

/** Layers of the newest image that is still here; none when its bytes are elsewhere. */
async function layersOf(
  io: Io,
  store: Store,
  builds: readonly BuildSteps[],
): Promise<readonly ReportLayer[]> {
  const deps = { content: store.content, images: store.db.images, clock: io.clock };
  for (const { build } of builds) {
    const row = store.db.images.list().find(({ target }) => target.digest === build.image);
    if (row === undefined) continue;
    const found = await inspectImage(deps, row.name);
    const [image] = found.ok ? found.value.platforms : [];
    if (image === undefined) continue;
    try {
      return await reportLayers(io, store, image);
    } catch (e) {
      if (!(e instanceof FailureError)) throw e;
    }
  }
  return [];
}

async function reportLayers(
  io: Io,
  store: Store,
  image: StoredImage,
): Promise<readonly ReportLayer[]> {
  const { layers, wasted, lost } = await readImageFiles(store, image, io);
  const made = image.config.history.filter((h) => h.empty_layer !== true);
  return layers.map((entries, i) => {
    const files = entries
      .filter(({ type }) => type === 'file')
      .sort((a, b) => b.size - a.size || byCodeUnit(a.path, b.path));
    const rest = files.slice(FILES);
    return {
      madeBy: made[i]?.created_by ?? '',
      size: files.reduce((sum, { size }) => sum + size, 0),
      wasted: wasted[i] ?? 0,
      files: files.slice(0, FILES).map(({ path, size }) => ({
        ...{ path, size },
        ...(lost[i]?.has(path) === true ? { wasted: true as const } : {}),
      })),
      more: { files: rest.length, size: rest.reduce((sum, { size }) => sum + size, 0) },
    };
  });
}
