/** Secrets seen so far, and how to take them out of texts that a server wrote. */
export class Secrets {
  readonly #seen = new Set<string>();

  /** Remembers a secret (passwords, tokens); very short ones would mangle ordinary text and are skipped. */
  add(secret: string): void {
    if (secret.length >= 4) this.#seen.add(secret);
  }

  /** A server's text for people: printable, short, without any secret. */
  clean(text: string): string {
    let out = text;
    for (const secret of this.#seen) out = out.replaceAll(secret, '***');
    return out.replace(/\p{Cc}+/gu, ' ').slice(0, 300);
  }
}
