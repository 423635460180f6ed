/** The program of the bundle with one function more, for `parse.ts`: images and ignore files are answered from memory. */

import type { LowerAnswers, LowerRequest } from '../src/lower/index.ts';
import { createLowering, imageQuestionKey } from '../src/lower/index.ts';

export { main, start } from '../src/cli/run-process.ts';

/** What parsing and lowering one file took. */
export interface Parsed {
  readonly milliseconds: number;
  readonly cpuMilliseconds: number;
  readonly rounds: number;
  readonly ops: number;
}

const config = {
  architecture: 'amd64',
  os: 'linux',
  rootfs: { type: 'layers', diff_ids: [`sha256:${'1'.repeat(64)}`] },
  history: [{ created_by: 'base' }],
  config: { Env: ['PATH=/usr/bin:/bin'], Cmd: ['sh'] },
};
/** Parses and lowers the text of a Dockerfile, when what `varve build` loads is loaded. */
export async function parse(text: string): Promise<Parsed> {
  await import('../src/cli/commands/build.ts');
  const request: LowerRequest = {
    file: { path: 'Dockerfile', text },
    buildPlatform: { OS: 'linux', Architecture: 'amd64' },
    context: { kind: 'local', name: 'context', session: '' },
  };
  const images = new Map();
  const ignoreFiles = new Map<string, string | undefined>();
  const answers: LowerAnswers = { images, ignoreFiles };

  // What a program loads for its clock is none of the parser's business.
  performance.now();
  const cpu = process.threadCpuUsage();
  const started = performance.now();
  let rounds = 1;
  const lowering = createLowering(request);
  let outcome = lowering(answers);
  while (outcome.kind === 'needs') {
    for (const question of outcome.images)
      images.set(imageQuestionKey(question), {
        ok: true,
        digest: `sha256:${'2'.repeat(64)}`,
        config,
      });
    for (const name of outcome.ignoreFiles) ignoreFiles.set(name, 'node_modules\n*.log\n');
    outcome = lowering(answers);
    rounds++;
  }
  const milliseconds = performance.now() - started;
  const { user, system } = process.threadCpuUsage(cpu);
  const cpuMilliseconds = (user + system) / 1000;
  if (outcome.kind === 'failed') throw new Error(outcome.failure.message);
  const { vertices } = outcome.definition;
  return { milliseconds, cpuMilliseconds, rounds, ops: vertices.size };
}
