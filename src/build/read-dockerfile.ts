import { basename, join } from 'node:path';
import { err, failure, ok, type Result, type SourceFile } from '../base/index.ts';
import type { LocalSource } from '../ports/index.ts';
import { internalStep, type StepReport } from './internal-step.ts';

/** A Dockerfile is text written by people. */
export const MAX_DOCKERFILE = 16 << 20;

/** Where a Dockerfile is read from. */
export type DockerfileLocation =
  | {
      readonly kind: 'file';
      /** The directory it lies in. */
      readonly dir: LocalSource;
      readonly name: string;
      /** For messages: the path relative to the working directory. */
      readonly shown: string;
    }
  | { readonly kind: 'text'; readonly text: string; readonly shown: string };

/** Reads the Dockerfile; `dockerfile` stands in for an absent `Dockerfile`. */
export async function readDockerfile(
  location: DockerfileLocation,
  report: StepReport & { readonly signal: AbortSignal },
): Promise<Result<SourceFile>> {
  const name = location.kind === 'file' ? location.name : 'Dockerfile';
  return await internalStep(
    report,
    `[internal] load build definition from ${name}`,
    async (step) => {
      if (location.kind === 'text') {
        step.done('transferring dockerfile:', { current: Buffer.byteLength(location.text) });
        return ok({ path: location.shown, text: location.text });
      }
      const options = { maxBytes: MAX_DOCKERFILE, signal: report.signal };
      let shown = location.shown;
      let bytes = await location.dir.readFile(name, options);
      if (bytes.ok && bytes.value === undefined && name === 'Dockerfile') {
        bytes = await location.dir.readFile('dockerfile', options);
        shown = join(shown, '..', 'dockerfile');
      }
      if (!bytes.ok) return bytes;
      if (bytes.value === undefined) return err(missingDockerfile(location.shown));
      step.done('transferring dockerfile:', { current: bytes.value.length });
      return ok({ path: shown, text: Buffer.from(bytes.value).toString('utf8') });
    },
  );
}

function missingDockerfile(path: string): ReturnType<typeof failure> {
  return failure(
    'DF001',
    2,
    `failed to read dockerfile: open ${basename(path)}: no such file or directory`,
    {
      help: `there is no ${path}: name the Dockerfile with -f`,
    },
  );
}

/**
 * The text that says which files are not part of the context: `<Dockerfile>.dockerignore` beside the Dockerfile, else
 * `.dockerignore` in the context; undefined when there is neither.
 */
export async function readIgnoreText(
  location: DockerfileLocation,
  context: LocalSource,
  report: StepReport & { readonly signal: AbortSignal },
): Promise<Result<string | undefined>> {
  return await internalStep(report, '[internal] load .dockerignore', async (step) => {
    const options = { maxBytes: MAX_DOCKERFILE, signal: report.signal };
    const own =
      location.kind === 'file'
        ? await location.dir.readFile(`${location.name}.dockerignore`, options)
        : ok(undefined);
    if (!own.ok) return own;
    const bytes = own.value === undefined ? await context.readFile('.dockerignore', options) : own;
    if (!bytes.ok) return bytes;
    // BuildKit counts the bytes of its protocol: an answer without the file has two.
    step.done('transferring context:', { current: bytes.value?.length ?? 2 });
    return ok(textOf(bytes.value));
  });
}

/** The `.dockerignore` of a named context. */
export async function readOwnIgnoreText(
  context: LocalSource,
  report: StepReport & { readonly signal: AbortSignal; readonly name: string },
): Promise<Result<string | undefined>> {
  const { signal, name } = report;
  return await internalStep(report, `[context ${name}] load .dockerignore`, async (step) => {
    const bytes = await context.readFile('.dockerignore', { maxBytes: MAX_DOCKERFILE, signal });
    if (!bytes.ok) return bytes;
    step.done(`transferring ${name}:`, { current: bytes.value?.length ?? 2 });
    return ok(textOf(bytes.value));
  });
}

function textOf(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8');
}
