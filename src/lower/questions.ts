import { formatPlatform } from '../llb/index.ts';
import type { ImageQuestion, LowerOutcome, TimeQuestion } from './request.ts';

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

/** Whether anything is asked. */
export function hasQuestions({ images, ignoreFiles, templates, times }: Questions): boolean {
  return images.size + ignoreFiles.size + templates.size + times.length > 0;
}

/** The questions as an outcome of lowering has them. */
export function listed({
  images,
  ignoreFiles,
  templates,
  times,
}: Questions): Omit<Extract<LowerOutcome, { readonly kind: 'needs' }>, 'kind'> {
  return {
    images: [...images.values()],
    ignoreFiles: [...ignoreFiles],
    templates: [...templates],
    times,
  };
}
