/** Cancellation by SIGINT, SIGTERM and SIGHUP: the first one aborts, the second one ends the process at once. */
export interface Interrupts {
  readonly signal: AbortSignal;
  /** 130, 143 or 129 once a signal came, 141 once nobody read any more. */
  readonly exitCode: () => number | undefined;
  /** Stops as a signal does: whoever read the output has gone. */
  readonly unread: () => void;
}

/** The reason with which a build is aborted by the user. */
export class Interrupted extends Error {
  override readonly name = 'AbortError';
}

/** Installs the handlers for the life of the process. */
export function installInterrupts(does: {
  readonly notify: (text: string) => void;
  /** What must still be done when the process ends at once. */
  readonly last: () => void;
}): Interrupts {
  const controller = new AbortController();
  let code: number | undefined;
  const on = (name: 'SIGINT' | 'SIGTERM' | 'SIGHUP', exit: number): void => {
    process.on(name, () => {
      if (code !== undefined) {
        does.last();
        process.exit(exit);
      }
      code = exit;
      does.notify(`${name}: stopping; once more to exit at once\n`);
      controller.abort(new Interrupted(`stopped by ${name}`));
    });
  };
  on('SIGINT', 130);
  on('SIGTERM', 143);
  on('SIGHUP', 129);
  return {
    signal: controller.signal,
    exitCode: () => code,
    unread: () => {
      code ??= 141;
      controller.abort(new Interrupted('nobody reads the output any more'));
    },
  };
}
