/**
 * `node parse-file.mjs FILE CACHE`, measured by `parse.ts` in a process of its own: loads what `varve build` loads, as it
 * loads it, then parses and lowers one file. Images and ignore files are answered from memory.
 */
import { readFileSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import type { LowerAnswers, LowerRequest } from '../src/lower/index.ts';

const [path = '', cache = ''] = process.argv.slice(2);
enableCompileCache(cache);
const { loadCompiled } = await import('../src/cli/load-compiled.ts');
await loadCompiled(() => import('../src/lower/index.ts'));
await import('../src/cli/commands/build.ts');
const { createLowering, imageQuestionKey } = await import('../src/lower/index.ts');

const text = readFileSync(path, 'utf8');
const config = {
  architecture: 'amd64',
  os: 'linux',
  rootfs: { type: 'layers', diff_ids: [`sha256:${'1'.repeat(64)}`] },
  history: [{ created_by: 'base' }],
  config: { Env: ['PATH=/usr/bin:/bin'], Cmd: ['sh'] },
};
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
process.stdout.write(
  `${JSON.stringify({ milliseconds, cpuMilliseconds, rounds, ops: vertices.size })}\n`,
);
