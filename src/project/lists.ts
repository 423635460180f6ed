import { byCodeUnit } from '../base/index.ts';

/** A list that a layer is made from, or a part of one: its other lines belong to other layers and do not count. */
export interface LayerList {
  /** Path in the project's directory. */
  readonly path: string;
  /** Only the lines of these packages. */
  readonly only?: readonly string[];
  /** All lines but those of these packages. */
  readonly except?: readonly string[];
}

/** The lines of a list that are more than a comment, without comments and blanks at their ends. */
export function listLines(text: string): readonly string[] {
  return text
    .split('\n')
    .map((line) => line.replace(/(?:^|\s)#.*$/, '').trim())
    .filter((line) => line !== '');
}

/** A list as a recipe sees it: the lines that were selected, without comments and blank lines. */
export function listText(text: string, { only, except }: Omit<LayerList, 'path'> = {}): string {
  const wanted = only === undefined ? undefined : new Set(only.map(plainName));
  const others = new Set(except?.map(plainName));
  return listLines(text)
    .filter((line) => {
      const name = itemName(line);
      // Options of a package manager belong to every part.
      if (name === undefined) return true;
      return (wanted === undefined || wanted.has(name)) && !others.has(name);
    })
    .map((line) => `${line}\n`)
    .join('');
}

/**
 * The package that a line of a list stands for, in the one spelling that is compared (PEP 503); undefined for options
 * such as `--extra-index-url`. An address stands for its last part.
 */
export function itemName(line: string): string | undefined {
  if (line.startsWith('-')) return undefined;
  const named = /^([A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*@\s/.exec(line)?.[1];
  if (named !== undefined) return plainName(named);
  if (line.includes('://')) {
    const path = line.replace(/[?#].*$/, '').replace(/(\/[^/@]*)@[^/]*$/, '$1');
    const last = path.split('/').findLast((part) => part !== '') ?? path;
    return plainName(last.replace(/\.(?:git|whl|zip|tar\.\w+|tgz)$/, '').replace(/-\d.*$/, ''));
  }
  return plainName(/^@?[^\s@=<>!~;,[\]()^:]+/.exec(line)?.[0] ?? line);
}

const plainName = (name: string): string => name.toLowerCase().replace(/[-_.]+/g, '-');

/** The packages of a list, each once, in a fixed order, with what its lines say. */
export function listItems(text: string): ReadonlyMap<string, string> {
  const items = new Map<string, string>();
  for (const line of listLines(text)) {
    const name = itemName(line);
    if (name !== undefined) items.set(name, `${items.get(name) ?? ''}${line}\n`);
  }
  return new Map([...items].sort(([a], [b]) => byCodeUnit(a, b)));
}
