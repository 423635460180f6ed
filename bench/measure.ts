/** Runs commands and measures them: wall time, CPU seconds and peak memory of the process tree's largest process. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** One measured run. */
export interface Sample {
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** Peak resident memory of the largest process of the run, in MiB. */
  readonly peakMiB: number;
}

/** A command line with its environment. */
export interface Command {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs a command under GNU time; a failing command ends the benchmark with its output. */
export function measure(command: Command): Sample {
  const dir = mkdtempSync(join(tmpdir(), 'varve-bench-'));
  try {
    const report = join(dir, 'time');
    const started = performance.now();
    const run = spawnSync('time', ['-q', '-o', report, '-f', '%U %S %M', ...command.argv], {
      env: { ...process.env, ...command.env },
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    });
    const seconds = (performance.now() - started) / 1000;
    if (run.status !== 0) {
      throw new Error(
        `${command.argv.join(' ')}: exit ${run.status}\n${run.stdout}\n${run.stderr}`,
        { cause: run.error },
      );
    }
    const [user = 0, system = 0, kib = 0] = readFileSync(report, 'utf8')
      .trim()
      .split(' ')
      .map(Number);
    return { seconds, cpuSeconds: user + system, peakMiB: kib / 1024 };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Middle value. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? 0)
    : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

/** `median [min..max]` in seconds. */
export function spread(values: readonly number[]): string {
  return `${median(values).toFixed(3)} [${Math.min(...values).toFixed(3)}..${Math.max(...values).toFixed(3)}]`;
}
