import { Inflight, type Result } from '../base/index.ts';

/** What one build found out about the world outside: asked once, however many ops and platforms want it. */
export class SourceMemory {
  readonly #known = new Map<string, unknown>();
  readonly #asking = new Inflight<string, unknown>();

  /** The answer to `question`; failures are not kept. A question has answers of one type. */
  async once<T>(
    question: string,
    signal: AbortSignal,
    ask: (shared: AbortSignal) => Promise<Result<T>>,
  ): Promise<Result<T>> {
    // The question names its type: the kind of source is its first word.
    if (this.#known.has(question)) return this.#known.get(question) as Result<T>;
    const answer = (await this.#asking.do(question, signal, ask)) as Result<T>;
    if (answer.ok) this.#known.set(question, answer);
    return answer;
  }
}
