import type { Result } from '../../base/index.ts';
import {
  type BuildDeps,
  type BuildRequest,
  type CallAnswer,
  callDockerfile,
} from '../../build/index.ts';
import type { CallFlag } from '../flags/call.ts';
import { fail, type Io, neutraliseLines } from '../io.ts';
import type { Display } from '../progress/display.ts';

/** What a build is asked, and with what. */
export interface Call {
  readonly flag: CallFlag;
  readonly request: BuildRequest;
  readonly deps: BuildDeps;
  readonly display: Display;
}

/** `--call` and `--check`: prints the answer as docker buildx does, and returns its exit codes. */
export async function runCall(io: Io, { flag, request, deps, display }: Call): Promise<number> {
  let answer: Result<CallAnswer>;
  try {
    // One value on standard output: no events between.
    answer = await callDockerfile(
      flag.method,
      request,
      { ...deps, emit: display.accept },
      io.signal,
    );
  } finally {
    display.end();
  }
  if (!answer.ok) return fail(io, answer.error);
  const { json, text, failure, warnings, failed } = answer.value;
  if (flag.json) io.out(`${json}\n`);
  else
    io.out(
      neutraliseLines(
        flag.method === 'check' ? `${summary(warnings, failure !== undefined)}${text}` : text,
      ),
    );
  if (failure !== undefined) {
    fail(io, failure);
    return 1;
  }
  return failed && !flag.ignoreStatus ? 1 : 0;
}

function summary(warnings: number, failed: boolean): string {
  if (warnings === 0) return failed ? '' : 'Check complete, no warnings found.\n';
  const found = warnings === 1 ? '1 warning has' : `${warnings} warnings have`;
  return `Check complete, ${found} been found!\n`;
}
