import { type Failure, failure, isRecord, parseJson, redact } from '../base/index.ts';
import {
  type HttpAnswer,
  type HttpRequest,
  readCapped,
  type Secrets,
  TransientError,
} from '../http/index.ts';

const MAX_ERROR_BYTES = 65_536;

/** The failure for an answer that is not the one wanted; what the server says of it is quoted, without secrets. */
export async function statusFailure(
  request: HttpRequest,
  answer: HttpAnswer,
  secrets: Secrets,
): Promise<Failure> {
  const said = await serverText(answer, secrets);
  const text = `${request.method} ${redact(request.url)}: the registry answers ${answer.status}${said === '' ? '' : ` (${said})`}`;
  switch (answer.status) {
    case 401:
      return failure('RG002', 3, text, {
        help: 'sign in to the registry (`docker login`), or check the name of the image',
      });
    case 403:
      return failure('RG002', 3, text, {
        help: 'the credentials do not allow this; check the name of the image',
      });
    case 404:
      return failure('RG003', 3, text, { help: 'check the name, tag or digest of the image' });
    default:
      return failure('RG004', 3, text);
  }
}

/** Codes and messages of an error body (distribution spec, "Error Codes"). */
async function serverText(answer: HttpAnswer, secrets: Secrets): Promise<string> {
  let bytes: Uint8Array | undefined;
  try {
    bytes = await readCapped(answer, MAX_ERROR_BYTES);
  } catch (e) {
    // The status is known; its explanation got lost.
    if (e instanceof TransientError) return '';
    if (e instanceof Error && e.name === 'AbortError') return '';
    throw e;
  }
  const parsed = parseJson(Buffer.from(bytes ?? new Uint8Array()).toString('utf8'));
  const errors = parsed.ok && isRecord(parsed.value) ? parsed.value['errors'] : undefined;
  if (!Array.isArray(errors)) return '';
  const texts = errors.flatMap((e: unknown) => {
    if (!isRecord(e)) return [];
    return [[e['code'], e['message']].filter((t) => typeof t === 'string' && t !== '').join(': ')];
  });
  return secrets.clean(texts.slice(0, 3).join('; '));
}
