import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { codeOf, writeAll } from './output.ts';

/** A command that was stopped gives up on a reader that took nothing for so long. */
const PATIENCE_MS = 1000;
/** How often a reader that takes nothing is tried again. */
const RETRY_MS = 20;
/** The reader is not there any more: the other end of a pipe or socket, a terminal. */
const GONE: ReadonlySet<unknown> = new Set(['EPIPE', 'ECONNRESET', 'EIO']);

/**
 * How text gets out: `direct` where nothing can stand still (files), an open file description of its own in non-blocking mode
 * for pipes and terminals, so that nobody else's mode is changed, or else a stream of Node's.
 */
type Way =
  | { readonly kind: 'direct' }
  | { readonly kind: 'own'; readonly fd: number }
  | { readonly kind: 'stream'; readonly stream: NodeJS.WriteStream };

/**
 * Standard output or standard error as text. A write never blocks the process, whose handlers of signals and timers could not
 * run otherwise: what a reader does not take at once is kept in memory, in its order.
 */
export class Outlet {
  readonly #fd: 1 | 2;
  readonly #gone: () => void;
  #way: Way | undefined;
  /** What is being written, and what comes behind it. */
  #bytes: Uint8Array = new Uint8Array();
  #text = '';
  #timer: NodeJS.Timeout | undefined;
  #isGone = false;

  /** `gone` is called once, when there is no reader any more. */
  constructor(fd: 1 | 2, gone: () => void) {
    this.#fd = fd;
    this.#gone = gone;
  }

  /** Bytes that nobody has taken yet, or about so many. */
  get pending(): number {
    if (this.#isGone) return 0;
    if (this.#way?.kind === 'stream') return this.#way.stream.writableLength;
    return this.#bytes.length + this.#text.length;
  }

  write(text: string): void {
    if (this.#isGone || text === '') return;
    const way = (this.#way ??= this.#open());
    switch (way.kind) {
      case 'direct':
        if (!writeAll(this.#fd, text)) this.#end();
        return;
      case 'stream':
        way.stream.write(text);
        return;
      case 'own':
        this.#text += text;
        if (this.#timer === undefined) this.#pump(way.fd);
    }
  }

  /**
   * Waits until all is taken. False when it was given up: the command was stopped, and its reader took nothing for a moment.
   */
  async settled(isStopped: () => boolean): Promise<boolean> {
    let [last, since] = [this.pending, performance.now()];
    while (last > 0) {
      await delay(RETRY_MS / 2);
      const { pending } = this;
      if (pending !== last) since = performance.now();
      else if (isStopped() && performance.now() - since > PATIENCE_MS) {
        clearTimeout(this.#timer);
        this.#isGone = true;
        return false;
      }
      last = pending;
    }
    return true;
  }

  #pump(fd: number): void {
    this.#timer = undefined;
    while (this.pending > 0) {
      if (this.#bytes.length === 0) [this.#bytes, this.#text] = [Buffer.from(this.#text), ''];
      try {
        this.#bytes = this.#bytes.subarray(writeSync(fd, this.#bytes));
      } catch (e) {
        if (codeOf(e) === 'EAGAIN') {
          this.#timer = setTimeout(() => this.#pump(fd), RETRY_MS);
          return;
        }
        if (!GONE.has(codeOf(e))) throw e;
        this.#end();
      }
    }
  }

  #end(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#gone();
  }

  #open(): Way {
    const kind = fstatSync(this.#fd);
    if (kind.isSocket()) return this.#stream();
    if (!kind.isFIFO() && !kind.isCharacterDevice()) return { kind: 'direct' };
    const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
    try {
      const flags = O_WRONLY | O_NONBLOCK | O_NOCTTY;
      return { kind: 'own', fd: openSync(`/proc/self/fd/${this.#fd}`, flags) };
    } catch (e) {
      // Nobody reads the pipe (ENXIO); one that another user made is not opened again.
      if (codeOf(e) === 'ENXIO') return { kind: 'direct' };
      return kind.isFIFO() ? this.#stream() : { kind: 'direct' };
    }
  }

  #stream(): Way {
    const stream = this.#fd === 1 ? process.stdout : process.stderr;
    stream.on('error', (e) => {
      if (!GONE.has(codeOf(e))) throw e;
      this.#end();
    });
    return { kind: 'stream', stream };
  }
}
