import type { Command } from 'commander';
import type { Io } from '../io.ts';

type Run = <A extends readonly unknown[]>(
  load: () => Promise<(io: Io, ...args: A) => Promise<number>>,
) => (...args: A) => Promise<void>;

type Options = Record<string, unknown>;

const JSON_FLAG = ['--json', 'print JSON'] as const;

/** `varve cache`: what the store holds, and how it is trimmed. Each subcommand is loaded when it is run. */
export function addCache(program: Command, run: Run): void {
  const cache = program.command('cache').description('what the store holds, and how it is trimmed');
  addShowing(cache, run);
}

function addShowing(cache: Command, run: Run): void {
  cache
    .command('df')
    .description('disk space by kind')
    .option(...JSON_FLAG)
    .action(run<[Options]>(async () => (await import('./cache-df.ts')).cacheDf));
}
