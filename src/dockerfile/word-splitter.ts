import { endOfWord, skipSpace } from './go-text.ts';

/** Collects words from characters that split and text that does not. */
export class WordSplitter {
  readonly #words: string[] = [];
  #word = '';
  #inWord = false;

  /** Text in which white space separates words. */
  addSplitting(text: string): void {
    let at = 0;
    while (at < text.length) {
      const end = endOfWord(text, at);
      if (end > at) {
        this.#word += text.slice(at, end);
        this.#inWord = true;
      } else if (this.#inWord && this.#word !== '') {
        this.#words.push(this.#word);
        this.#word = '';
        this.#inWord = false;
      }
      at = end > at ? end : skipSpace(text, at);
    }
  }

  /** Text that was quoted or escaped. */
  addWhole(text: string): void {
    this.#word += text;
    this.#inWord = true;
  }

  /**
   * Forgets the word under way. BuildKit does so (it shares one buffer between the levels) when a substitution holds a
   * word of its own: `a${X:-b}` splits into `b` alone.
   */
  forgetWord(): void {
    this.#word = '';
  }

  words(): readonly string[] {
    return this.#word === '' ? this.#words : [...this.#words, this.#word];
  }
}
