/** What a step does at its end so that downloads do not stay in the image: needless, and harmful, where a cache mount keeps them. */
export interface Cleaning {
  /** Whole commands. */
  readonly commands: readonly RegExp[];
  /** Words of an `rm -r` that are left out; without any word left the whole command is. */
  readonly removed: RegExp;
}

/** A command that follows another one by `&&` or `;`, over line ends, up to the next such sign. */
const FOLLOWING =
  /[ \t]*(?:\\\n[ \t]*)*(?:&&|;)[ \t]*(?:\\\n[ \t]*)*((?:[^&;|\\\n]|\\(?!\n))*[^&;|\\\s])/g;

/** The text of a RUN without the commands that clean up after an install; what stands first in it stays. */
export function withoutCleaning(text: string, { commands, removed }: Cleaning): string {
  return text.replaceAll(FOLLOWING, (clause, command: string) => {
    const words = command.trim();
    if (commands.some((pattern) => pattern.test(words))) return '';
    if (!/^rm\s+-\w*r/.test(words)) return clause;
    const left = words.split(/\s+/).filter((word) => !removed.test(word));
    if (left.length === words.split(/\s+/).length) return clause;
    return left.some((word) => word !== 'rm' && !word.startsWith('-'))
      ? clause.replace(command, left.join(' '))
      : '';
  });
}
