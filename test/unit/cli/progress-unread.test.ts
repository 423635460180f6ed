import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '../../../src/base/index.ts';
import { createDisplay, type ProgressMode } from '../../../src/cli/progress/display.ts';
import { UNREAD } from '../../../src/cli/progress/sparing.ts';
import type { Event } from '../../../src/events/index.ts';

const step = sha256('step');
const log = (at: number, text: string): Event => ({
  ...{ type: 'log', vertex: step, at, stream: 1, data: Buffer.from(text) },
});

/** What a mode writes when its reader stops taking anything after the first line of output and goes on before the last. */
function written(mode: ProgressMode, events: readonly (Event | number)[]): string {
  let text = '';
  const terminal = {
    ...{ isTTY: false, columns: 80, rows: 24, colour: false, pending: 0 },
    write: (more: string) => void (text += more),
  };
  const display = createDisplay(mode, terminal, () => 0);
  for (const event of events)
    if (typeof event === 'number') terminal.pending = event;
    else display.accept(event);
  display.end();
  return text;
}

const begun: readonly Event[] = [
  { type: 'vertex', vertex: step, name: '[1/1] RUN x', inputs: [] },
  { type: 'vertex-started', vertex: step, at: 0 },
];
const failed: Event = {
  type: 'vertex-completed',
  vertex: step,
  at: 9000,
  cached: false,
  error: 'exit code: 3',
};

test('output that nobody reads is left out and counted, what becomes of a step is not', () => {
  const events = [
    ...[...begun, log(1000, 'kept\n'), UNREAD, log(2000, 'also kept\n'), UNREAD + 1],
    ...[log(3000, 'one\ntwo\n'), UNREAD - 1, log(4000, 'three\n')],
    ...[UNREAD / 2, log(5000, 'read again\n'), UNREAD + 1, log(6000, 'last\n'), failed],
  ];
  assert.equal(
    written('plain', events),
    `#1 [1/1] RUN x
#1 1.000 kept
#1 2.000 also kept
#1 4.000 [3 lines were left out here: nobody read them; varve history logs has the output of steps]
#1 5.000 read again
#1 6.000 [1 line was left out here: nobody read them; varve history logs has the output of steps]
#1 ERROR: exit code: 3
`,
  );
});

test('what was left out last is said at the end', () => {
  const events = [...begun, UNREAD + 1, log(1000, 'one\n')];
  assert.equal(
    written('plain', events),
    '#1 [1/1] RUN x\n#1 1.000 [1 line was left out here: nobody read them; varve history logs has the output of steps]\n',
  );
});

test('each line of raw JSON stays whole, and one says what was left out', () => {
  const events = [...begun, UNREAD + 1, log(1000, 'one\n'), log(2000, 'two\n'), failed];
  const lines = written('rawjson', events).trimEnd().split('\n');
  const note = Buffer.from(
    '[2 lines were left out here: nobody read them; varve history logs has the output of steps]\n',
  ).toString('base64');
  const vertex = { digest: step, name: '[1/1] RUN x' };
  const started = { ...vertex, started: '1970-01-01T00:00:00Z' };
  assert.deepEqual(
    lines.map((line): unknown => JSON.parse(line)),
    [
      { vertexes: [vertex] },
      { vertexes: [started] },
      { logs: [{ vertex: step, stream: 2, data: note, timestamp: '1970-01-01T00:00:02Z' }] },
      { vertexes: [{ ...started, completed: '1970-01-01T00:00:09Z', error: 'exit code: 3' }] },
    ],
  );
});
