import { err, failure, ok, type Result } from '../base/index.ts';
import { DEPENDENCY_LISTS, type DependencyList, type RpmRecord } from './record.ts';
import { RELATIVE_PATH } from './repomd.ts';
import { XmlReader } from './xml.ts';

type Writable<T> = { -readonly [K in keyof T]: T[K] extends readonly string[] ? string[] : T[K] };
type Draft = Writable<RpmRecord>;

const NAME = /^[A-Za-z0-9_][A-Za-z0-9._+~^-]*$/;
const PART = /^[A-Za-z0-9._+~^]+$/;
const ARCH = /^[a-z0-9_]+$/;
const HEX = /^[0-9a-f]{64}$/;
const SIGNS: Readonly<Record<string, string>> = { LT: '<', LE: '<=', EQ: '=', GE: '>=', GT: '>' };
/** Architectures of packages that hold sources. */
const SOURCES = new Set(['src', 'nosrc']);
const MAX_PACKAGES = 1_000_000;
/** Dependencies and files of all packages together; a distribution has a few million. */
const MAX_ENTRIES = 10_000_000;

/** Reads the primary metadata of a repository in pieces (createrepo's `primary.xml`). */
export class PrimaryReader {
  readonly #xml: XmlReader;
  readonly #name: string;
  readonly #records: RpmRecord[] = [];
  readonly #lists: ReadonlyMap<string, DependencyList> = new Map(
    DEPENDENCY_LISTS.map((list) => [`rpm:${list}`, list]),
  );
  #draft: Draft | undefined;
  #list: DependencyList | undefined;
  #checksum = '';
  readonly #maxEntries: number;
  #entries = 0;
  #problem: string | undefined;

  constructor(name: string, limits: { readonly maxEntries?: number } = {}) {
    this.#name = name;
    this.#maxEntries = limits.maxEntries ?? MAX_ENTRIES;
    this.#xml = new XmlReader(name, {
      open: (tag, attributes) => this.#open(tag, attributes),
      close: (tag, text) => this.#close(tag, text),
    });
  }

  /** Whether something is wrong with the document already. */
  get failed(): boolean {
    return this.#problem !== undefined || this.#xml.failed;
  }

  /** Takes the next piece of the document. */
  write(text: string): void {
    if (this.#problem === undefined) this.#xml.write(text);
  }

  /** The binary packages, in the order in which they are listed. PK022: the document cannot be read or says what cannot be. */
  end(): Result<readonly RpmRecord[]> {
    // Nothing more was read after a problem, so that the end of the document says nothing.
    const problem = this.#problem;
    if (problem !== undefined)
      return err(failure('PK022', 3, `${this.#name} is not usable: ${problem}`));
    const read = this.#xml.end();
    return read.ok ? ok(this.#records) : read;
  }

  #open(tag: string, attributes: Readonly<Record<string, string>>): void {
    if (tag === 'package' && attributes['type'] === 'rpm') this.#draft = emptyDraft();
    const draft = this.#draft;
    if (draft === undefined) return;
    this.#list = this.#lists.get(tag) ?? this.#list;
    switch (tag) {
      case 'version':
        draft.epoch = Number(attributes['epoch'] ?? 0);
        draft.version = attributes['ver'] ?? '';
        draft.release = attributes['rel'] ?? '';
        break;
      case 'checksum':
        this.#checksum = attributes['type'] ?? '';
        break;
      case 'size':
        draft.size = Number(attributes['package'] ?? 0);
        break;
      case 'time':
        draft.builtAt = Number(attributes['build'] ?? 0);
        break;
      case 'location':
        draft.location = attributes['href'] ?? '';
        break;
      case 'rpm:entry':
        if (this.#list !== undefined) this.#add(draft[this.#list], entryText(attributes));
        break;
      default:
        break;
    }
  }

  #close(tag: string, text: string): void {
    const draft = this.#draft;
    if (draft === undefined) return;
    if (this.#lists.has(tag)) this.#list = undefined;
    switch (tag) {
      case 'name':
        draft.name = text;
        break;
      case 'arch':
        draft.arch = text;
        break;
      case 'checksum':
        draft.sha256 = this.#checksum === 'sha256' ? text.toLowerCase() : '';
        break;
      case 'file':
        this.#add(draft.files, text);
        break;
      case 'package':
        this.#finish(draft);
        break;
      default:
        break;
    }
  }

  #add(list: string[], text: string): void {
    if (this.#entries++ < this.#maxEntries) list.push(text);
    else this.#problem ??= `it lists more than ${this.#maxEntries} dependencies and files`;
  }

  #finish(draft: Draft): void {
    this.#draft = undefined;
    if (SOURCES.has(draft.arch)) return;
    const problem =
      this.#records.length === MAX_PACKAGES
        ? `it lists more than ${MAX_PACKAGES} packages`
        : problemOf(draft);
    if (problem === undefined) this.#records.push(draft);
    else this.#problem ??= problem;
  }
}

/** `name`, `name >= 1:2-3`, or a rich dependency as it stands in the name. */
function entryText(attributes: Readonly<Record<string, string>>): string {
  const name = attributes['name'] ?? '';
  const sign = SIGNS[attributes['flags'] ?? ''];
  if (sign === undefined) return name;
  const { epoch = '0', ver = '', rel } = attributes;
  return `${name} ${sign} ${epoch === '0' ? '' : `${epoch}:`}${ver}${rel === undefined ? '' : `-${rel}`}`;
}

function problemOf(draft: Draft): string | undefined {
  const shown = JSON.stringify(draft.name.slice(0, 80));
  if (!NAME.test(draft.name)) return `${shown} cannot be the name of a package`;
  if (!PART.test(draft.version) || !PART.test(draft.release) || !ARCH.test(draft.arch))
    return `${shown} has a version, release or architecture that cannot be`;
  if (!Number.isSafeInteger(draft.epoch) || draft.epoch < 0) return `${shown} has no epoch`;
  if (!HEX.test(draft.sha256)) return `${shown} has no SHA-256`;
  if (!Number.isSafeInteger(draft.size) || draft.size <= 0) return `${shown} has no size`;
  if (!RELATIVE_PATH.test(draft.location)) return `${shown} lies outside the repository`;
  return undefined;
}

const emptyDraft = (): Draft => ({
  name: '',
  epoch: 0,
  version: '',
  release: '',
  arch: '',
  sha256: '',
  size: 0,
  location: '',
  builtAt: 0,
  provides: [],
  requires: [],
  conflicts: [],
  obsoletes: [],
  recommends: [],
  supplements: [],
  suggests: [],
  enhances: [],
  files: [],
});
