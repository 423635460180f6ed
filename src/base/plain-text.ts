/**
 * Escape sequences (ECMA-48: CSI; OSC, DCS, APC, PM and SOS strings, ended or not; two-character ones), in their 7-bit and
 * 8-bit forms.
 */
const ESCAPES =
  /(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|\x1b[ -/]*[0-~]?/g;
/** Control characters but the tab, and marks that reorder text (Unicode annex 9, section 2). */
const CONTROLS =
  /[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;
const BEYOND_JSON = /[\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/**
 * One line of text from outside as it can be shown on a terminal or a page: escape sequences are removed, of text that was
 * overwritten by carriage returns the last is kept, other control characters (and those that reorder text) become U+FFFD.
 */
export function neutralise(line: string): string {
  const plain = line.replace(ESCAPES, '').replace(/\r+$/, '');
  return plain.slice(plain.lastIndexOf('\r') + 1).replace(CONTROLS, '\ufffd');
}

/** JSON with the same values in which what a terminal would act on is written as `\uXXXX`; JSON itself asks that below U+0020. */
export function terminalJson(json: string): string {
  return json.replace(
    BEYOND_JSON,
    (c) => `\\u${(c.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );
}
