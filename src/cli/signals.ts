/** Cancellation by SIGINT and SIGTERM: the first one aborts, the second one ends the process at once. */
export interface Interrupts {
  readonly signal: AbortSignal;
  /** 130 or 143 once a signal came. */
  readonly exitCode: () => number | undefined;
}

/** The reason with which a build is aborted by the user. */
export class Interrupted extends Error {
  override readonly name = 'AbortError';
}

/** Installs the handlers for the life of the process. */
export function installInterrupts(notify: (text: string) => void): Interrupts {
  const controller = new AbortController();
  let code: number | undefined;
  const on = (name: 'SIGINT' | 'SIGTERM', exit: number): void => {
    process.on(name, () => {
      if (code !== undefined) process.exit(exit);
      code = exit;
      notify(`${name}: stopping; once more to exit at once\n`);
      controller.abort(new Interrupted(`stopped by ${name}`));
    });
  };
  on('SIGINT', 130);
  on('SIGTERM', 143);
  return { signal: controller.signal, exitCode: () => code };
}
