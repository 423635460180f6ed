import { err, failure, ok, type Result } from '../base/index.ts';
import { ANNOTATION_PLACES, type Annotation, type AssembleOptions } from '../image/index.ts';
import type { Compression } from '../oci/index.ts';
import type { OutputSpec } from './request.ts';

const COMPRESSIONS: readonly Compression[] = ['uncompressed', 'gzip', 'zstd'];
/** `annotation[-TYPE][PLATFORM].KEY` (BuildKit, exporter attributes). */
const ANNOTATION = new RegExp(
  `^annotation(?:-(${ANNOTATION_PLACES.join('|')}))?(?:\\[([^\\]]*)\\])?\\.(.+)$`,
);

/** What the attributes of an `--output` say about the image that is written. */
export function imageOptions(
  output: OutputSpec,
  epoch: number | undefined,
): Result<AssembleOptions> {
  const { attrs } = output;
  const name = attrs.get('compression') ?? 'gzip';
  const compression = COMPRESSIONS.find((c) => c === name);
  if (compression === undefined)
    return err(
      failure('EX003', 2, `unknown compression "${name}"`, {
        help: `known: ${COMPRESSIONS.join(', ')}`,
      }),
    );
  const level = attrs.get('compression-level');
  if (level !== undefined && !/^\d+$/.test(level))
    return err(failure('EX003', 2, `compression-level "${level}" is not a number`));
  const annotations = [...attrs].flatMap(([key, value]) => annotation(key, value));
  const docker = output.type === 'docker' || attrs.get('oci-mediatypes') === 'false';
  return ok({
    compression,
    ...(level === undefined ? {} : { level: Number(level) }),
    force: attrs.get('force-compression') === 'true',
    // Without a wish, an image has what every engine reads, whatever form a cache gave the layer before.
    ...(attrs.has('compression') ? {} : { remake: true }),
    mediaTypes: docker ? 'docker' : 'oci',
    ...(epoch === undefined ? {} : { epoch }),
    rewriteTimestamp: attrs.get('rewrite-timestamp') === 'true',
    ...(annotations.length === 0 ? {} : { annotations }),
  });
}

function annotation(name: string, value: string): readonly Annotation[] {
  const [, type, platform, key] = ANNOTATION.exec(name) ?? [];
  if (key === undefined) return [];
  const on = ANNOTATION_PLACES.find((place) => place === type) ?? 'manifest';
  return [{ on, ...(platform === undefined ? {} : { platform }), key, value }];
}
