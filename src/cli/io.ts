import { existsSync, realpathSync } from 'node:fs';
import { type Failure, type GoJson, goJson, renderFailure, terminalJson } from '../base/index.ts';
import type { EventSink } from '../events/index.ts';
import type { Clock } from '../ports/index.ts';
import type { Terminal } from './progress/display.ts';
import { neutralise } from './progress/text.ts';
import { storeRoot } from './store-root.ts';

/** What a command sees of the process. */
export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly uid: number;
  readonly stdin: AsyncIterable<Uint8Array> & { readonly isTTY?: boolean };
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** Data. */
  out(text: string): void;
  /** Bytes of data that its reader has not taken yet. */
  readonly pending: number;
  /** Data that is no text, as fast as its reader takes it; the signal ends it. */
  outStream(data: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void>;
  /** Everything else. */
  err(text: string): void;
  /** Takes the events of builds too, besides their display: a log. */
  readonly log?: EventSink;
  /** The command stops although no signal came: it waits no longer than a moment for readers that take nothing. */
  stopped(): void;
}

/** The same without links on the way, once it is there: a runtime takes no root file system that is reached through one. */
export function realStoreRoot(io: Pick<Io, 'env' | 'uid'>): string {
  const root = storeRoot(io);
  return existsSync(root) ? realpathSync(root) : root;
}

/** Prints one JSON value as a line. */
export function printJson(io: Io, value: GoJson): void {
  io.out(`${terminalJson(goJson(value))}\n`);
}

/** Prints a failure and gives the exit code it leads to. */
export function fail(io: Io, f: Failure): number {
  io.err(`${neutraliseLines(renderFailure(f))}\n`);
  return f.exit;
}

/** Text with blanks in front of each of its lines but empty ones. */
export const indentLines = (blanks: string, text: string): string =>
  text.replaceAll(/^(?=.)/gm, blanks);

/** Several lines with text from outside (names, messages, output of steps): none moves the cursor or changes colours. */
export function neutraliseLines(text: string): string {
  return text.split('\n').map(neutralise).join('\n');
}

/** A table with columns padded to their widest cell; no padding behind the last; cells are one line of plain text. */
export function table(raw: readonly (readonly string[])[]): string {
  const rows = raw.map((row) => row.map(neutralise));
  const widths: number[] = [];
  for (const row of rows)
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  return rows
    .map((row) =>
      row
        .map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd((widths[i] ?? 0) + 3)))
        .join(''),
    )
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}

/** The process with some members changed. The others are those of `io`, which may be computed when they are asked for. */
export function withMembers(io: Io, members: Partial<Io>): Io {
  const described = Object.entries(members).map(([name, value]) => [name, { value }] as const);
  // The prototype has all members.
  return Object.create(io, Object.fromEntries(described)) as Io;
}
