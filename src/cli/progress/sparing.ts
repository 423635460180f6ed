import type { Event, EventSink, VertexLog, VertexStatus } from '../../events/index.ts';

/** What a sink of text shows of its reader. */
export interface Reader {
  /** Bytes that it has not taken yet. */
  readonly pending: number;
  write(text: string): void;
}

/** Up to so many bytes are kept for a reader that takes nothing. */
export const UNREAD = 8 << 20;

/**
 * Writes the text of each event. Of what nobody reads it keeps a part: beyond that the output and the counters of steps are left
 * out, and a line of output says how many lines were; everything else, errors above all, is kept. The output of steps is in
 * their logs in any case.
 */
export function sparing(
  reader: Reader,
  render: (event: Event) => string,
): { readonly accept: EventSink; readonly end: () => void } {
  let left = 0;
  let last: VertexLog | VertexStatus | undefined;
  const note = (): string => {
    if (last === undefined) return '';
    const [lines, { vertex, at }] = [left, last];
    [left, last] = [0, undefined];
    const what = lines === 1 ? '1 line was' : `${lines} lines were`;
    const text = `[${what} left out here: nobody read them; varve history logs has the output of steps]\n`;
    return render({ type: 'log', vertex, at, stream: 2, data: Buffer.from(text) });
  };
  const write = (text: string): void => {
    if (text !== '') reader.write(text);
  };
  return {
    accept: (event) => {
      // Some room first, so that there is not a note for each line.
      const limit = last === undefined ? UNREAD : UNREAD / 2;
      if ((event.type === 'log' || event.type === 'status') && reader.pending > limit) {
        const lines = render(event).split('\n').length - 1;
        if (lines === 0) return;
        left += lines;
        last = event;
      } else write(note() + render(event));
    },
    end: () => write(note()),
  };
}
