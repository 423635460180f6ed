/** What every compared builder can do, and how their commands are run. */
import { spawnSync } from 'node:child_process';
import type { Command } from './measure.ts';

/** What becomes of a build: outputs and caches as `TYPE,KEY=VALUE` (BuildKit's attributes). Without `output`: an image in the builder's own store. */
export interface Ends {
  readonly output?: string;
  readonly cacheTo?: string;
  readonly cacheFrom?: string;
}

/** One builder with a store of its own. */
export interface Peer {
  readonly name: string;
  readonly version: string;
  /** The image is called `tag`. */
  build(context: string, tag: string, ends?: Ends): Command;
  /** Throws away everything the builder has cached. */
  clear(): Promise<void> | void;
  stop(): Promise<void>;
}

/** Runs a command that has to succeed and returns what it says. */
export function must(argv: readonly string[], env: Readonly<Record<string, string>> = {}): string {
  const [command = '', ...rest] = argv;
  const run = spawnSync(command, rest, { encoding: 'utf8', env: { ...process.env, ...env } });
  if (run.status !== 0) throw new Error(`${argv.join(' ')}: exit ${run.status}\n${run.stderr}`);
  return run.stdout.trim();
}

/** Whether a program is in the search path. */
export function isThere(name: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${name}`]).status === 0;
}
