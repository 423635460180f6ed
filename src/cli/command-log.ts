import { closeSync, openSync, writeSync } from 'node:fs';
import { failure, isErrno } from '../base/index.ts';
import type { Options } from './build-request.ts';
import { fail, type Io, withMembers } from './io.ts';
import { createDisplay, type ProgressMode } from './progress/display.ts';

/** How much a command says, as os-image-composer names it. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
/** One of them. */
export type LogLevel = (typeof LOG_LEVELS)[number];

const MODES: readonly ProgressMode[] = ['auto', 'tty', 'plain', 'rawjson', 'quiet'];

/** How progress is shown: as it is asked for, else by the level, whose last two leave warnings and errors alone. */
export function progressMode(io: Pick<Io, 'env'>, options: Options): ProgressMode {
  if (options.is('quiet')) return 'quiet';
  const asked = MODES.find((mode) => mode === options.text('progress'));
  if (asked !== undefined) return asked;
  const level = LOG_LEVELS.find((each) => each === io.env['VARVE_LOG_LEVEL']);
  return level === 'debug' ? 'plain' : level === 'warn' || level === 'error' ? 'quiet' : 'auto';
}

/**
 * Runs a command with a log: `VARVE_LOG_FILE` gets the progress of its builds as plain text and all that it says, behind what is in
 * it; with `VARVE_LOG_LEVEL` of `error` warnings are kept from the terminal. EX001: the file cannot be written.
 */
export async function withLog(io: Io, command: (io: Io) => Promise<number>): Promise<number> {
  const path = io.env['VARVE_LOG_FILE'];
  const quiet = io.env['VARVE_LOG_LEVEL'] === 'error';
  const err = (text: string): void => {
    if (!quiet || !/^warning\b/.test(text)) io.err(text);
  };
  if (path === undefined) return await command(quiet ? withMembers(io, { err }) : io);
  let fd: number;
  try {
    // What steps print may be nobody else's business.
    fd = openSync(path, 'a', 0o600);
  } catch (e) {
    if (!isErrno(e, 'ENOENT', 'EACCES', 'EISDIR', 'ENOTDIR', 'EROFS', 'EPERM')) throw e;
    return fail(io, failure('EX001', 3, `the log ${path} cannot be written: ${e.code ?? ''}`));
  }
  const write = (text: string): void => {
    writeSync(fd, text);
  };
  const terminal = { isTTY: false, columns: 80, rows: 24, colour: false, pending: 0, write };
  const display = createDisplay('plain', terminal, () => io.clock.now());
  try {
    const both = (text: string): void => {
      write(text);
      err(text);
    };
    return await command(withMembers(io, { err: both, log: display.accept }));
  } finally {
    display.end();
    closeSync(fd);
  }
}
