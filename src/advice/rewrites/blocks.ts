import type { Command, Stage } from '../../dockerfile/index.ts';
import type { Model } from '../dockerfile-model.ts';

/** One instruction in the text of a Dockerfile. */
export interface Block {
  /** Blank lines and comments above it that do not belong to it: they stay where they are when it moves. */
  readonly lead: string;
  /** Comments directly above it, and the instruction, line ends included. */
  readonly text: string;
  /** First line of the instruction, by which it is found; 0 for one that a rewrite made. */
  readonly line: number;
}

/** A Dockerfile as instructions that can be moved without losing comments or formatting. */
export interface Blocks {
  readonly blocks: readonly Block[];
  /** What stands below the last instruction. */
  readonly tail: string;
}

/** Cuts the text of a model into instructions. */
export function blocksOf({ file, parsed }: Model): Blocks {
  const lines = file.text.split(/(?<=\n)/);
  let at = 0;
  const blocks = parsed.ast.children.map((node) => {
    const [first, last] = node.lines;
    let own = first - 1;
    while (own > at && /^[ \t]*#/.test(lines[own - 1] ?? '') && !isDirective(own, lines)) own--;
    const block = {
      lead: lines.slice(at, own).join(''),
      text: ended(lines.slice(own, last).join('')),
      line: first,
    };
    at = last;
    return block;
  });
  return { blocks, tail: lines.slice(at).join('') };
}

/** Parser directives stand at the very top and belong to the file. */
const isDirective = (line: number, lines: readonly string[]): boolean =>
  lines.slice(0, line).every((text) => /^[ \t]*#[ \t]*\w+[ \t]*=/.test(text));

const ended = (text: string): string => (text.endsWith('\n') ? text : `${text}\n`);

/** The text again. */
export function textOf({ blocks, tail }: Blocks): string {
  return blocks.map(({ lead, text }) => `${lead}${text}`).join('') + tail;
}

/** The place of an instruction among the blocks. */
export function placeOf({ blocks }: Blocks, command: Command | Stage): number {
  return blocks.findIndex(({ line }) => line === command.lines[0]);
}

/** Moves an instruction in front of another one; what stood above it stays there. */
export function moveBefore(all: Blocks, from: number, to: number): Blocks {
  const moved = all.blocks[from];
  if (moved === undefined || from === to) return all;
  const without = removeAt(all, from);
  return insertBefore(without, to > from ? to - 1 : to, moved.text, moved.line);
}

/** Puts an instruction in front of another one; at the end where there is none. */
export function insertBefore({ blocks, tail }: Blocks, to: number, text: string, line = 0): Blocks {
  const target = blocks[to];
  if (target === undefined) {
    // The text may end in blank lines; the new instruction comes before them.
    return { blocks: [...blocks, { lead: '', text: ended(text), line }], tail };
  }
  return {
    blocks: [
      ...blocks.slice(0, to),
      { lead: target.lead, text: ended(text), line },
      { ...target, lead: '' },
      ...blocks.slice(to + 1),
    ],
    tail,
  };
}

/** Takes an instruction away. */
export function removeAt({ blocks, tail }: Blocks, at: number): Blocks {
  const [gone, next] = [blocks[at], blocks[at + 1]];
  if (gone === undefined) return { blocks, tail };
  const lead = gone.lead === '\n' && (next?.lead.startsWith('\n') ?? true) ? '' : gone.lead;
  if (next === undefined) return { blocks: blocks.slice(0, at), tail: `${lead}${tail}` };
  return {
    blocks: [
      ...blocks.slice(0, at),
      { ...next, lead: `${lead}${next.lead}` },
      ...blocks.slice(at + 2),
    ],
    tail,
  };
}

/** Changes the text of an instruction. */
export function edit(
  { blocks, tail }: Blocks,
  at: number,
  change: (text: string) => string,
): Blocks {
  return {
    blocks: blocks.map((block, i) => (i === at ? { ...block, text: change(block.text) } : block)),
    tail,
  };
}

/** Adds a flag behind the keyword of an instruction, below its comments. */
export function withFlag(text: string, keyword: string, flag: string): string {
  return text.replace(new RegExp(`^([ \\t]*${keyword})([ \\t]+)`, 'im'), `$1 ${flag}$2`);
}
