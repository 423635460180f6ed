import { type GoJson, goJson, isRecord } from '../base/index.ts';
import {
  type Descriptor,
  decodeDescriptor,
  descriptorJson,
  FILE_INDEX_MEDIA_TYPE,
  STEP_TRACES_MEDIA_TYPE,
} from '../oci/index.ts';

/** Member of a bare config with the descriptors of what else belongs to the cache; other readers pass it over. */
export const ATTACHMENTS_MEMBER = 'varve.cache.attachments.v1';

/** Attachments of one cache that are looked at. */
const MAX_ATTACHMENTS = 10_000;

/** Whether a blob that a cache lists beside its layers is one that is read here. */
export function isAttachment({ mediaType }: Descriptor): boolean {
  return mediaType === FILE_INDEX_MEDIA_TYPE || mediaType === STEP_TRACES_MEDIA_TYPE;
}

/** The value of the member. */
export function attachmentsText(attachments: readonly Descriptor[]): GoJson {
  return attachments.map(descriptorJson);
}

/** The attachments that a bare config names. */
export function attachmentsIn(config: unknown): readonly Descriptor[] {
  const named = isRecord(config) ? config[ATTACHMENTS_MEMBER] : undefined;
  if (!Array.isArray(named)) return [];
  return named.slice(0, MAX_ATTACHMENTS).flatMap((each: unknown) => {
    const descriptor = decodeDescriptor(each);
    return typeof descriptor !== 'string' && isAttachment(descriptor) ? [descriptor] : [];
  });
}

/** A bare config with a further member. */
export function withMember(config: string, name: string, value: GoJson): string {
  const member = goJson({ [name]: value }).slice(1, -1);
  return config === '{}' ? `{${member}}` : `${config.slice(0, -1)},${member}}`;
}
