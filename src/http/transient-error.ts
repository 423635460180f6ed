/** A failure of the network that another attempt may not meet: thrown between adapters' own files, never out of one. */
export class TransientError extends Error {
  readonly retryAfterMs: number | undefined;
  /** For how long nobody answers at that address at all; undefined when somebody did. */
  readonly unreachableMs: number | undefined;
  constructor(
    message: string,
    options: {
      readonly cause?: unknown;
      readonly retryAfterMs?: number;
      readonly unreachableMs?: number;
    } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = 'TransientError';
    this.retryAfterMs = options.retryAfterMs;
    this.unreachableMs = options.unreachableMs;
  }
}
