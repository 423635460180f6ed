import sax, { type QualifiedTag, type Tag } from 'sax';
import { err, failure, ok, type Result } from '../base/index.ts';

/** What is told of the elements of a document, in order. */
export interface XmlHandler {
  readonly open: (name: string, attributes: Readonly<Record<string, string>>) => void;
  /** `text` is what stood directly in the element, without the space around it. */
  readonly close: (name: string, text: string) => void;
}

/** Elements nested deeper than this are refused. */
const MAX_DEPTH = 64;
/** The longest text of an element, and of an attribute, that is read. */
const MAX_TEXT = 4 * 1024 * 1024;

/**
 * Reads XML in pieces (XML 1.0). Document types are refused, so that there are no entities but the five of XML. PK022: the
 * document is not well formed; the failure is the first one and names the line.
 */
export class XmlReader {
  readonly #name: string;
  readonly #parser = sax.parser(true, { position: true });
  readonly #texts: string[] = [];
  #problem: string | undefined;

  constructor(name: string, handler: XmlHandler) {
    this.#name = name;
    const parser = this.#parser;
    parser.ondoctype = () => this.#refuse('it has a document type');
    parser.onerror = (e) => {
      this.#refuse(e.message.split('\n')[0] ?? '');
    };
    parser.onopentag = (tag: Tag | QualifiedTag) => {
      if (this.#texts.push('') > MAX_DEPTH) this.#refuse('its elements are nested too deep');
      // Attributes are plain texts, because the parser was not asked for namespaces.
      if (this.#problem === undefined)
        handler.open(tag.name, tag.attributes as Record<string, string>);
    };
    parser.ontext = (text) => this.#text(text);
    parser.oncdata = (text) => this.#text(text);
    parser.onclosetag = (tag) => {
      const text = this.#texts.pop() ?? '';
      if (this.#problem === undefined) handler.close(tag, text.trim());
    };
  }

  /** Whether something is wrong with the document already. */
  get failed(): boolean {
    return this.#problem !== undefined;
  }

  /** Takes the next piece; nothing more is read after a failure. */
  write(text: string): void {
    if (this.#problem === undefined) this.#parser.write(text);
  }

  /** What is wrong with the document, once all of it was written. */
  end(): Result<void> {
    if (this.#problem === undefined) this.#parser.close();
    return this.#problem === undefined
      ? ok(undefined)
      : err(failure('PK022', 3, `${this.#name} is not readable: ${this.#problem}`));
  }

  #text(text: string): void {
    const last = this.#texts.length - 1;
    const all = (this.#texts[last] ?? '') + text;
    if (all.length > MAX_TEXT) this.#refuse('it has an element of more than 4 MiB');
    else if (last >= 0) this.#texts[last] = all;
  }

  #refuse(why: string): void {
    this.#problem ??= `${why} (line ${this.#parser.line + 1})`;
  }
}
