import { formatPlatform } from '../llb/index.ts';
import type { ImageQuestion, TimeQuestion } from './request.ts';

/** The key of an image's answer. */
export function imageQuestionKey(
  question: Pick<ImageQuestion, 'ref' | 'platform' | 'store'>,
): string {
  return `${question.store} ${question.ref} ${formatPlatform(question.platform)}`;
}

/** What is still to be found out. */
export interface Questions {
  readonly images: Map<string, ImageQuestion>;
  readonly ignoreFiles: Set<string>;
  readonly templates: Set<string>;
  readonly times: TimeQuestion[];
}
