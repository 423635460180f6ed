/** Whether a character is a digit as Go's `unicode.IsDigit` sees it. */
export function isDigit(char: string): boolean {
  if (char === '') return false;
  const code = char.charCodeAt(0);
  return code < 0x80 ? code >= 0x30 && code <= 0x39 : DIGIT.test(char);
}

/** Whether a character may stand in the name of a variable: a letter, a digit or an underscore. */
export function isNameCharacter(char: string): boolean {
  if (char === '') return false;
  const code = char.charCodeAt(0);
  if (code >= 0x80) return NAME.test(char);
  const letter = code | 0x20;
  return (letter >= 0x61 && letter <= 0x7a) || (code >= 0x30 && code <= 0x39) || code === 0x5f;
}

// Compiling patterns over all of Unicode takes milliseconds: the functions above ask them about few characters.
const DIGIT = /^\p{Nd}$/u;
const NAME = /^[\p{L}\p{Nd}_]$/u;
