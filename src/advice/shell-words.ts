/** One simple command of a shell text: its words without quotes, and where it begins. */
export interface ShellCommand {
  readonly words: readonly string[];
  /** Offset of its first word in the text. */
  readonly offset: number;
  readonly length: number;
}

/** Words before a command that are not its name. */
const PREFIXES = new Set([
  ...['then', 'do', 'else', 'elif', 'if', 'while', 'until', '!', '{', '(', 'sudo', 'exec', 'time'],
  ...['command', 'nice', 'env', 'eatmydata', 'gosu', 'doas', 'busybox'],
]);

const ASSIGNMENT = /^[A-Za-z_][A-Za-z0-9_]*=/;

/**
 * Splits a shell text into its simple commands (POSIX shell, "Shell Grammar"): by `;`, `&`, `|`, parentheses and line ends
 * outside quotes; comments are left out, substitutions stay text. Good enough to recognise programs, not to run them.
 */
export function shellCommands(text: string): readonly ShellCommand[] {
  const commands: ShellCommand[] = [];
  let words: Word[] = [];
  const end = (): void => {
    const command = commandOf(words);
    if (command !== undefined) commands.push(command);
    words = [];
  };
  for (let at = 0; at < text.length; ) {
    const c = text.charAt(at);
    if (c === '\\' && /^\\[ \t]*\r?\n/.test(text.slice(at, at + 8))) {
      at = text.indexOf('\n', at) + 1;
    } else if (c === '#' && (at === 0 || /\s/.test(text.charAt(at - 1)))) {
      const newline = text.indexOf('\n', at);
      at = newline === -1 ? text.length : newline;
    } else if (SEPARATOR.includes(c)) {
      end();
      at++;
    } else if (/\s/.test(c)) at++;
    else {
      const word = readWord(text, at);
      words.push(word);
      at = word.end;
    }
  }
  end();
  return commands;
}

const SEPARATOR = ';&|()\n';

interface Word {
  readonly value: string;
  readonly start: number;
  readonly end: number;
}

function readWord(text: string, start: number): Word {
  let value = '';
  let at = start;
  while (at < text.length) {
    const c = text.charAt(at);
    if (/\s/.test(c) || SEPARATOR.includes(c)) break;
    if (c === '\\') {
      if (/^\\[ \t]*\r?\n/.test(text.slice(at, at + 8))) break;
      value += text.charAt(at + 1);
      at += 2;
    } else if (c === "'" || c === '"') {
      const close = closing(text, at);
      value += text.slice(at + 1, close);
      at = close + 1;
    } else if (c === '$' && text.charAt(at + 1) === '(') {
      const close = closingParenthesis(text, at + 1);
      value += text.slice(at, close + 1);
      at = close + 1;
    } else {
      value += c;
      at++;
    }
  }
  return { value, start, end: Math.max(at, start + 1) };
}

function closing(text: string, open: number): number {
  const quote = text.charAt(open);
  for (let at = open + 1; at < text.length; at++) {
    if (quote === '"' && text.charAt(at) === '\\') at++;
    else if (text.charAt(at) === quote) return at;
  }
  return text.length;
}

function closingParenthesis(text: string, open: number): number {
  let depth = 0;
  for (let at = open; at < text.length; at++) {
    const c = text.charAt(at);
    if (c === "'" || c === '"') at = closing(text, at);
    else if (c === '(') depth++;
    else if (c === ')' && --depth === 0) return at;
  }
  return text.length;
}

function commandOf(all: readonly Word[]): ShellCommand | undefined {
  const first = all.findIndex(({ value }) => !PREFIXES.has(value) && !ASSIGNMENT.test(value));
  const [head, last] = [all[first], all.at(-1)];
  if (first === -1 || head === undefined || last === undefined) return undefined;
  const words = all.slice(first).map(({ value }) => value);
  return { words, offset: head.start, length: last.end - head.start };
}
