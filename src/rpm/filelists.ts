import type { Result } from '../base/index.ts';
import { XmlReader } from './xml.ts';

/** Reads the complete file lists of a repository in pieces (createrepo's `filelists.xml`), keeping only wanted paths. */
export class FilelistsReader {
  readonly #xml: XmlReader;
  readonly #wanted: ReadonlySet<string>;
  readonly #found = new Map<string, string[]>();
  #package = '';

  constructor(name: string, wanted: ReadonlySet<string>) {
    this.#wanted = wanted;
    this.#xml = new XmlReader(name, {
      open: (tag, attributes) => {
        if (tag === 'package') this.#package = (attributes['pkgid'] ?? '').toLowerCase();
      },
      close: (tag, text) => {
        if (tag !== 'file' || !this.#wanted.has(text)) return;
        const paths = this.#found.get(this.#package);
        if (paths === undefined) this.#found.set(this.#package, [text]);
        else paths.push(text);
      },
    });
  }

  /** Whether something is wrong with the document already. */
  get failed(): boolean {
    return this.#xml.failed;
  }

  /** Takes the next piece of the document. */
  write(text: string): void {
    this.#xml.write(text);
  }

  /** The wanted paths of each package that has any, by the package's SHA-256. PK022: the document cannot be read. */
  end(): Result<ReadonlyMap<string, readonly string[]>> {
    const read = this.#xml.end();
    return read.ok ? { ok: true, value: this.#found } : read;
  }
}

/** Whether the primary metadata lists a path (createrepo's rule): only others need the complete lists. */
export function isPrimaryPath(path: string): boolean {
  return path.startsWith('/etc/') || path.includes('bin/') || path.startsWith('/usr/lib/sendmail');
}
