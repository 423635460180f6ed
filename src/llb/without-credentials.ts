import { proxyWithoutCredentials, withoutCredentials } from '../base/index.ts';
import type { Vertex } from './definition.ts';
import { encodeOp } from './encode-op.ts';
import type { Op, ProxyEnv } from './op.ts';

/**
 * The op as it may be kept and shown: without the users and passwords of the addresses that a source is fetched from, and
 * of the proxies of a step. Neither is part of what the step means. An op that has none is given back as it is.
 */
export function opWithoutCredentials(op: Op): Op {
  const { body } = op;
  if (body.kind === 'source') {
    const { identifier, attrs } = body.source;
    const source = {
      identifier: withoutCredentials(identifier),
      attrs: mapped(attrs, withoutCredentials),
    };
    const same = JSON.stringify(source) === JSON.stringify({ identifier, attrs });
    return same ? op : { ...op, body: { ...body, source: { ...body.source, ...source } } };
  }
  if (body.kind !== 'exec') return op;
  const { meta } = body.exec;
  if (meta.proxy_env === undefined) return op;
  const proxy: ProxyEnv = mapped({ ...meta.proxy_env }, proxyWithoutCredentials);
  if (JSON.stringify(proxy) === JSON.stringify(meta.proxy_env)) return op;
  const exec = { ...body.exec, meta: { ...meta, proxy_env: proxy } };
  return { ...op, body: { ...body, exec } };
}

/** The bytes of an op as it is kept, and travels with exported caches. */
export function keptBytes({ op, pb }: Pick<Vertex, 'op' | 'pb'>): Uint8Array {
  const kept = opWithoutCredentials(op);
  return kept === op ? pb : encodeOp(kept);
}

const mapped = (
  values: Readonly<Record<string, string>>,
  change: (value: string) => string,
): Record<string, string> =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [key, change(value)]));
