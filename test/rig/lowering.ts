import assert from 'node:assert/strict';
import { sha256 } from '../../src/base/index.ts';
import {
  createLowering,
  type ImageAnswer,
  imageQuestionKey,
  type LowerAnswers,
  type LowerOutcome,
  type LowerRequest,
  lower,
} from '../../src/lower/index.ts';

/** The platform that tests build on. */
export const host = { OS: 'linux', Architecture: 'amd64' };
/** Of every image. */
export const digest = sha256('image');
/** Of every image, unless a test gives another. */
export const config = {
  architecture: 'amd64',
  os: 'linux',
  config: { Env: ['PATH=/bin', 'LANG=C'], Cmd: ['sh'], OnBuild: [] },
  rootfs: { type: 'layers', diff_ids: [sha256('layer')] },
};

/** A request to lower a Dockerfile. */
export const request = (text: string, more: Partial<LowerRequest> = {}): LowerRequest => ({
  file: { path: 'Dockerfile', text },
  buildPlatform: host,
  context: { kind: 'local', name: 'context', session: '' },
  ...more,
});

/** Answers every question with the same image and the same ignore file, or none. */
export function settle(
  asked: LowerRequest,
  image: unknown = config,
  ignore?: string,
): LowerOutcome {
  const images = new Map<string, ImageAnswer>();
  const ignoreFiles = new Map<string, string | undefined>();
  const templates = new Map();
  const answers: LowerAnswers = { images, ignoreFiles, templates };
  const lowering = createLowering(asked);
  for (let round = 0; round < 10; round++) {
    const outcome = lowering(answers);
    if (outcome.kind !== 'needs') {
      // All answers at once give what one after the other gave.
      assert.deepEqual(outcome, lower(asked, answers));
      return outcome;
    }
    for (const q of outcome.images)
      images.set(imageQuestionKey(q), { ok: true, digest, config: image });
    for (const name of outcome.ignoreFiles) ignoreFiles.set(name, ignore);
    for (const file of outcome.templates) {
      const identifier = `varve-template://${file}`;
      templates.set(file, { identifier, attrs: { 'template.lock': 'x' }, config: image });
    }
  }
  throw new Error('the same questions again and again');
}
