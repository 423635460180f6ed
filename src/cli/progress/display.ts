import type { Event, EventSink } from '../../events/index.ts';
import { PlainProgress } from './plain.ts';
import { RawJsonProgress } from './raw-json.ts';
import { sparing } from './sparing.ts';
import { type Palette, TtyProgress } from './tty.ts';

/** Kinds of progress output. */
export type ProgressMode = 'auto' | 'tty' | 'plain' | 'rawjson' | 'quiet';

/** A progress display bound to a stream. */
export interface Display {
  readonly accept: EventSink;
  /** Draws the last frame. */
  end(): void;
}

/** What a display is drawn on: the program's standard error. */
export interface Terminal {
  readonly isTTY: boolean;
  readonly columns: number;
  readonly rows: number;
  /** Colours are wanted (a terminal, `NO_COLOR` unset). */
  readonly colour: boolean;
  /** Bytes that its reader has not taken yet. */
  readonly pending: number;
  write(text: string): void;
}

/** How often the live view is drawn. */
const FRAME_MS = 100;

/** Makes the display for a mode; `auto` is the live view on a terminal and plain text elsewhere. */
export function createDisplay(mode: ProgressMode, terminal: Terminal, now: () => number): Display {
  switch (mode) {
    case 'auto':
      return createDisplay(terminal.isTTY ? 'tty' : 'plain', terminal, now);
    case 'tty':
      return live(terminal, now);
    case 'plain': {
      const view = new PlainProgress();
      return sparing(terminal, (event) => view.accept(event));
    }
    case 'rawjson': {
      const view = new RawJsonProgress();
      return sparing(terminal, (event) => view.accept(event));
    }
    case 'quiet':
      return { accept: () => undefined, end: () => undefined };
  }
}

function live(terminal: Terminal, now: () => number): Display {
  const view = new TtyProgress();
  const palette = paletteOf(terminal.colour);
  let drawn = 0;
  const draw = (final: boolean): void => {
    // Of frames that nobody has taken yet one is enough.
    if (!final && terminal.pending > 0) return;
    const screen = {
      columns: Math.max(20, terminal.columns - 1),
      rows: Math.max(4, terminal.rows),
      palette,
    };
    const lines = view.frame(now(), screen, final);
    // Up to the first line drawn before, then everything below is cleared.
    const home = drawn === 0 ? '' : `\x1b[${drawn}A`;
    terminal.write(`\x1b[?25l${home}\r\x1b[J${lines.join('\n')}\n${final ? '\x1b[?25h' : ''}`);
    drawn = lines.length;
  };
  const timer = setInterval(() => draw(false), FRAME_MS);
  timer.unref();
  return {
    accept: (event: Event) => view.accept(event),
    end: () => {
      clearInterval(timer);
      draw(true);
    },
  };
}

/** SGR sequences (ECMA-48): on, and off again. */
function paletteOf(colour: boolean): Palette {
  const style = (on: number, off: number) => (text: string) =>
    colour ? `\x1b[${on}m${text}\x1b[${off}m` : text;
  return {
    ...{ title: style(1, 22), done: style(36, 39), error: style(31, 39) },
    ...{ warning: style(33, 39), dim: style(2, 22) },
  };
}
