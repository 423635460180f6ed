import { ok, type Result, redact } from '../base/index.ts';
import { type BuildRequest, emptySource } from '../build/index.ts';
import type { Io } from './io.ts';

/** The address that a context means when it is not here; `github.com/owner/name` is short for one. */
export function remoteAddress(text: string): string | undefined {
  const short = /^(github\.com\/[^/#?]+\/[^/#?]+?)(?:\.git)?\/?([#?].*)?$/.exec(text);
  if (short !== null) return `https://${short[1]}.git${short[2] ?? ''}`;
  return /^(?:https?|git|ssh):\/\/|^[\w.-]+@[\w.-]+:[^:]/.test(text) ? text : undefined;
}

/** A context that the build fetches; the Dockerfile is looked for in it, or read from standard input. */
export async function openRemote(
  io: Io,
  address: string,
  file: string | undefined,
): Promise<Result<Pick<BuildRequest, 'dockerfile' | 'context' | 'contextKind' | 'remote'>>> {
  const shown = `${redact(address)}${/#.*$/.exec(address)?.[0] ?? ''}`;
  const context = emptySource(shown);
  const remote = { address, shown };
  if (file === '-') {
    const { readText } = await import('./stdin-context.ts');
    const text = await readText(io);
    if (!text.ok) return text;
    const dockerfile = { kind: 'text', text: text.value, shown: 'Dockerfile' } as const;
    return ok({ context, contextKind: 'remote', remote, dockerfile });
  }
  const name = file ?? 'Dockerfile';
  return ok({
    context,
    contextKind: 'remote',
    remote: { ...remote, ...(file === undefined ? {} : { file }) },
    dockerfile: { kind: 'file', dir: context, name, shown: name },
  });
}
