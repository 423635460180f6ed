import { isNode, type YAMLSeq } from 'yaml';

/** A piece of text in place of another. */
export interface Splice {
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

/** Makes all replacements; several at one place are made in their order. */
export function applySplices(text: string, splices: readonly Splice[]): string {
  const ordered = [...splices].sort((a, b) => a.from - b.from || a.to - b.to);
  let done = '';
  let at = 0;
  for (const splice of ordered) {
    done += text.slice(at, splice.from) + splice.text;
    at = Math.max(at, splice.to);
  }
  return done + text.slice(at);
}

/** The end of the last line of a block value, its newline included. */
export function entryEnd(text: string, valueEnd: number): number {
  const trimmed = text.slice(0, valueEnd).trimEnd().length;
  const newline = text.indexOf('\n', trimmed);
  return newline === -1 ? text.length : newline + 1;
}

/** The text of a node as it is written. */
export function textOf(text: string, node: unknown): string {
  return isNode(node) && node.range ? text.slice(node.range[0], node.range[1]).trimEnd() : '';
}

/**
 * A sequence of items, each as it is written, in the style of another sequence in whose place it stands. Lines of comments
 * in that one stay, above the items.
 */
export function itemsText(text: string, seq: YAMLSeq, items: readonly string[]): string {
  if (seq.flow === true || !seq.range) return `[${items.join(', ')}]`;
  const [from, to] = seq.range;
  const indent = ' '.repeat(from - (text.lastIndexOf('\n', from - 1) + 1));
  const comments = [
    ...text
      .slice(from, to)
      .trimEnd()
      .matchAll(/^[ \t]*(#.*)$/gm),
  ];
  return [
    ...comments.map(([, comment]) => comment ?? ''),
    ...items.map((item) => `- ${item}`),
  ].join(`\n${indent}`);
}
