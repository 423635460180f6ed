/** Epoch, version and release of a package, or the part of them that a dependency names. */
export interface Evr {
  readonly epoch: number;
  readonly version: string;
  /** Absent in dependencies that leave the release open. */
  readonly release: string | undefined;
}

const isDigit = (c: number): boolean => c >= 48 && c <= 57;
const isAlpha = (c: number): boolean => (c >= 97 && c <= 122) || (c >= 65 && c <= 90);
const TILDE = 126;
const CARET = 94;

/**
 * Compares two versions or two releases as rpm does (rpm-version(7)): runs of digits by value, runs of letters by code, digits
 * above letters, `~` below everything even the end, `^` above the end and below everything else; the rest only separates.
 */
export function compareSegments(a: string, b: string): number {
  let [i, j] = [0, 0];
  for (;;) {
    i = skipSeparators(a, i);
    j = skipSeparators(b, j);
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(j)];
    if (x === TILDE || y === TILDE) {
      if (x !== y) return x === TILDE ? -1 : 1;
      i++;
      j++;
      continue;
    }
    if (x === CARET || y === CARET) {
      if (x !== y) return compareCaret(x, y);
      i++;
      j++;
      continue;
    }
    // charCodeAt is NaN behind the end.
    if (Number.isNaN(x) || Number.isNaN(y))
      return Number(!Number.isNaN(x)) - Number(!Number.isNaN(y));
    const kind = isDigit(x) ? isDigit : isAlpha;
    const [endA, endB] = [runEnd(a, i, kind), runEnd(b, j, kind)];
    // Of two segments of different kinds the digits are newer.
    if (endB === j) return kind === isDigit ? 1 : -1;
    const order =
      kind === isDigit
        ? compareNumbers(a.slice(i, endA), b.slice(j, endB))
        : compareCodes(a.slice(i, endA), b.slice(j, endB));
    if (order !== 0) return order;
    i = endA;
    j = endB;
  }
}

/** One of the two is a caret: newer than the end, older than anything else. */
function compareCaret(x: number, y: number): number {
  if (x === CARET) return Number.isNaN(y) ? 1 : -1;
  return Number.isNaN(x) ? -1 : 1;
}

function skipSeparators(text: string, from: number): number {
  let at = from;
  for (; at < text.length; at++) {
    const c = text.charCodeAt(at);
    if (isDigit(c) || isAlpha(c) || c === TILDE || c === CARET) break;
  }
  return at;
}

function runEnd(text: string, from: number, kind: (c: number) => boolean): number {
  let at = from;
  while (at < text.length && kind(text.charCodeAt(at))) at++;
  return at;
}

function compareNumbers(a: string, b: string): number {
  const [x, y] = [a.replace(/^0+/, ''), b.replace(/^0+/, '')];
  return Math.sign(x.length - y.length) || compareCodes(x, y);
}

const compareCodes = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Compares epoch, then version, then release; a release that one side leaves open is equal to any. */
export function compareEvr(a: Evr, b: Evr): number {
  return (
    Math.sign(a.epoch - b.epoch) ||
    compareSegments(a.version, b.version) ||
    (a.release === undefined || b.release === undefined ? 0 : compareSegments(a.release, b.release))
  );
}

/** Reads `[epoch:]version[-release]`; undefined for anything else. */
export function parseEvr(text: string): Evr | undefined {
  const match = /^(?:(\d{1,10}):)?([^\s:-]+)(?:-([^\s:-]+))?$/.exec(text);
  if (match === null) return undefined;
  return { epoch: Number(match[1] ?? 0), version: match[2] ?? '', release: match[3] };
}

/** `[epoch:]version[-release]`, without an epoch of 0. */
export function evrText(evr: Evr): string {
  const release = evr.release === undefined ? '' : `-${evr.release}`;
  return `${evr.epoch === 0 ? '' : `${evr.epoch}:`}${evr.version}${release}`;
}
