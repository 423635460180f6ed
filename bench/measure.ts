/** Runs commands and measures them: wall time, CPU seconds, peak memory of the largest process, and bytes written to the disk. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { cpuOfTree, peakOfTree, resetPeaks } from './daemon.ts';

/** One measured run. */
export interface Sample {
  readonly seconds: number;
  /** Of the command and its daemon. */
  readonly cpuSeconds: number;
  /** Peak resident memory of the largest process of the run, its daemon included, in MiB. */
  readonly peakMiB: number;
  /** Written to the device until all of it is there; outside the measured time. */
  readonly writtenMiB?: number;
}

/** A command line with its environment. */
export interface Command {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** The process that does the work for the command. */
  readonly daemon?: number;
}

/** Runs commands at once under GNU time; a failing one ends the benchmark with its output. */
export async function measure(
  commands: readonly Command[],
  written: () => number | undefined = () => undefined,
): Promise<Sample> {
  const daemon = commands[0]?.daemon;
  const before = written();
  if (daemon !== undefined) resetPeaks(daemon);
  const cpuBefore = daemon === undefined ? 0 : cpuOfTree(daemon);
  const started = performance.now();
  const runs = await Promise.all(commands.map(runOne));
  const seconds = (performance.now() - started) / 1000;
  const cpu = runs.reduce((sum, run) => sum + run.cpuSeconds, 0);
  const daemonCpu = daemon === undefined ? 0 : cpuOfTree(daemon) - cpuBefore;
  const daemonPeak = daemon === undefined ? 0 : peakOfTree(daemon);
  const after = written();
  return {
    seconds,
    cpuSeconds: cpu + daemonCpu,
    peakMiB: Math.max(daemonPeak, ...runs.map((run) => run.peakMiB)),
    ...(before === undefined || after === undefined
      ? {}
      : { writtenMiB: (after - before) / 2 ** 20 }),
  };
}

async function runOne(command: Command): Promise<{ cpuSeconds: number; peakMiB: number }> {
  const dir = mkdtempSync(join(tmpdir(), 'varve-time-'));
  try {
    const report = join(dir, 'time');
    const child = spawn('time', ['-q', '-o', report, '-f', '%U %S %M', ...command.argv], {
      env: { ...process.env, ...command.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const status = new Promise<number | null>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', resolve);
    });
    const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
    const code = await status;
    if (code !== 0) throw new Error(`${command.argv.join(' ')}: exit ${code}\n${out}\n${err}`);
    const [user = 0, system = 0, kib = 0] = readFileSync(report, 'utf8')
      .trim()
      .split(' ')
      .map(Number);
    return { cpuSeconds: user + system, peakMiB: kib / 1024 };
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
