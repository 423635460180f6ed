import { type Digest, parseDigest, parseJson } from '../base/index.ts';
import type { Descriptor } from '../oci/index.ts';
import { optionalText, type Row, text } from './connection.ts';

/** Reads JSON that this folder wrote into the database; its shape is the writer's. */
// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the caller names what it wrote
export function stored<T>(json: string): T {
  const parsed = parseJson(json);
  if (!parsed.ok) throw new Error(`unreadable value in the state database: ${parsed.error}`);
  // Only what `JSON.stringify` of a T wrote is read here.
  return parsed.value as T;
}

/** A digest of a column that is never null. */
export function digest(row: Row, column: string): Digest {
  const parsed = parseDigest(text(row, column));
  if (parsed === undefined) throw new Error(`column ${column} is not a digest`);
  return parsed;
}

/** A digest of a column, or undefined where it is null. */
export function optionalDigest(row: Row, column: string): Digest | undefined {
  const value = optionalText(row, column);
  return value === undefined ? undefined : parseDigest(value);
}

/** A descriptor stored as JSON, or undefined where the column is null. */
export function optionalDescriptor(row: Row, column: string): Descriptor | undefined {
  const value = optionalText(row, column);
  return value === undefined ? undefined : stored<Descriptor>(value);
}
