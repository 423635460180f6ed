/*
 * File names are bytes; JavaScript strings are UTF-16. A name that is valid UTF-8 is that text; each byte that is not part
 * of valid UTF-8 becomes the lone surrogate U+DC00 + byte (as Python's "surrogateescape", PEP 383), so no name is lost or
 * confused with another.
 */

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text form of a file name. */
export function nameOfBytes(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (e) {
    if (!(e instanceof TypeError)) throw e;
    return escapeInvalid(bytes);
  }
}

/** The bytes of a name made by `nameOfBytes` (or of any well-formed text). */
export function bytesOfName(name: string): Uint8Array {
  if (name.isWellFormed()) return Buffer.from(name, 'utf8');
  const parts: Uint8Array[] = [];
  for (const point of name) {
    const code = point.codePointAt(0) ?? 0;
    parts.push(
      code >= 0xdc80 && code <= 0xdcff ? Uint8Array.of(code - 0xdc00) : Buffer.from(point, 'utf8'),
    );
  }
  return Buffer.concat(parts);
}

/** The form in which a path can be handed to `node:fs`: the string itself, or bytes where UTF-8 cannot say it. */
export function fsPath(path: string): string | Buffer {
  return path.isWellFormed() ? path : Buffer.from(bytesOfName(path));
}

function escapeInvalid(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    if (length === 0) {
      text += String.fromCharCode(0xdc00 + (bytes[at] ?? 0));
      at++;
    } else {
      text += decoder.decode(bytes.subarray(at, at + length));
      at += length;
    }
  }
  return text;
}

/** Length of the valid UTF-8 sequence at `at`, 0 when there is none. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0;
  const length =
    first < 0x80
      ? 1
      : first < 0xc2
        ? 0
        : first < 0xe0
          ? 2
          : first < 0xf0
            ? 3
            : first < 0xf5
              ? 4
              : 0;
  if (length === 0 || at + length > bytes.length) return 0;
  try {
    decoder.decode(bytes.subarray(at, at + length));
    return length;
  } catch (e) {
    if (!(e instanceof TypeError)) throw e;
    return 0;
  }
}
