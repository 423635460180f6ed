import { formatPlatform, type Platform } from '../oci/index.ts';

/** Where an annotation may stand (BuildKit's `annotation[-TYPE][PLATFORM].KEY`). */
export const ANNOTATION_PLACES = [
  'manifest',
  'index',
  'manifest-descriptor',
  'index-descriptor',
] as const;
export type AnnotationPlace = (typeof ANNOTATION_PLACES)[number];

/** An annotation of an image to be written. */
export interface Annotation {
  readonly on: AnnotationPlace;
  /** Only of the image of this platform, as `formatPlatform` writes it. */
  readonly platform?: string;
  readonly key: string;
  readonly value: string;
}

/** The annotations of one place as a member of a document; no member where there are none. */
export function annotationsOn(
  all: readonly Annotation[] | undefined,
  on: AnnotationPlace,
  platform?: Platform,
): { readonly annotations?: Readonly<Record<string, string>> } {
  const name = platform === undefined ? undefined : formatPlatform(platform);
  const mine = (all ?? []).filter(
    (a) => a.on === on && (a.platform === undefined || a.platform === name),
  );
  return mine.length === 0
    ? {}
    : { annotations: Object.fromEntries(mine.map(({ key, value }) => [key, value])) };
}
