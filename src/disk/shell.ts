/** A word that a POSIX shell reads as this text. */
export const quoted = (text: string): string =>
  /^[A-Za-z0-9_./:=@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

/** The lines of a script, with the option that stops it at the first failure. */
export const script = (...lines: readonly string[]): string => ['set -eu', ...lines, ''].join('\n');

/** A heredoc of a shell; the text may hold anything. */
export function shellFile(path: string, text: string): string {
  const end = delimiter(text);
  const whole = text.endsWith('\n') ? text : `${text}\n`;
  return `cat > ${quoted(path)} <<'${end}'\n${whole}${end}`;
}

/** A word that is no line of the text. */
export function delimiter(text: string): string {
  const lines = new Set(text.split('\n'));
  let word = 'EOF';
  while (lines.has(word)) word += '_';
  return word;
}

/** A RUN instruction with a heredoc. */
export function run(flags: readonly string[], text: string): string {
  const end = delimiter(text);
  return `RUN ${['--network=none', ...flags].join(' ')} <<'${end}'\n${text}${end}`;
}
