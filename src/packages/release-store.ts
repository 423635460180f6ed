import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import {
  type Digest,
  goJson,
  hexOf,
  parseDigest,
  parseJson,
  readIfThere,
  sha256,
  writeAtomically,
} from '../base/index.ts';

/** What is remembered of the Release file of one suite of one repository. */
export interface ReleaseState {
  /** SHA-256 of the InRelease file. */
  readonly raw: Digest;
  /** SHA-256 of its signed text. */
  readonly text: Digest;
  /** The keyring that verified it. */
  readonly keyring: Digest;
  readonly signers: readonly string[];
  /** The newest `Date` ever accepted here, in seconds: an older file is a rollback. */
  readonly newest: number;
  readonly etag: string;
  readonly lastModified: string;
  /** Milliseconds: when the mirror was last asked. */
  readonly checkedAt: number;
}

const digest = z.string().transform((text, context) => {
  const value = parseDigest(text);
  if (value !== undefined) return value;
  context.addIssue({ code: 'custom', message: 'expected a digest' });
  return z.NEVER;
});

const schema: z.ZodType<ReleaseState> = z.object({
  raw: digest,
  text: digest,
  keyring: digest,
  signers: z.array(z.string()),
  newest: z.number(),
  etag: z.string(),
  lastModified: z.string(),
  checkedAt: z.number(),
});

/** Release files as last accepted, by repository and suite. A damaged entry counts as absent. */
export class ReleaseStore {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  /** The state of a suite, if one was ever accepted. */
  async state(uri: string, suite: string): Promise<ReleaseState | undefined> {
    const text = await readIfThere(join(this.#dir(uri, suite), 'state.json'));
    const json = text === undefined ? undefined : parseJson(text.toString('utf8'));
    if (json?.ok !== true) return undefined;
    const checked = schema.safeParse(json.value);
    return checked.success ? checked.data : undefined;
  }

  /** A file of a suite by its digest, verified. */
  async file(uri: string, suite: string, wanted: Digest): Promise<string | undefined> {
    const bytes = await readIfThere(join(this.#dir(uri, suite), hexOf(wanted)));
    return bytes !== undefined && sha256(bytes) === wanted ? bytes.toString('utf8') : undefined;
  }

  /** Keeps an accepted Release file: its bytes first, then the state that names them. */
  async save(
    uri: string,
    suite: string,
    entry: { readonly state: ReleaseState; readonly raw: string; readonly text: string },
  ): Promise<void> {
    const dir = this.#dir(uri, suite);
    await mkdir(dir, { recursive: true });
    await writeAtomically(join(dir, hexOf(entry.state.raw)), entry.raw);
    await writeAtomically(join(dir, hexOf(entry.state.text)), entry.text);
    await this.touch(uri, suite, entry.state);
  }

  /** Replaces the state only. */
  async touch(uri: string, suite: string, state: ReleaseState): Promise<void> {
    const text = goJson({ ...state, signers: [...state.signers] });
    await writeAtomically(join(this.#dir(uri, suite), 'state.json'), `${text}\n`);
  }

  #dir(uri: string, suite: string): string {
    return join(this.#root, hexOf(sha256(`${uri}\n${suite}`)).slice(0, 32));
  }
}
