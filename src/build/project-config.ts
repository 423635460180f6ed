import { isRecord } from '../base/index.ts';
import type { ImageConfigSpec } from '../project/index.ts';
import type { ConfigDelta } from './project-types.ts';

type Config = Readonly<Record<string, unknown>>;

/** Members of an image's configuration whose own members add up. */
const MAPS = ['Labels', 'ExposedPorts', 'Volumes'];

/** Name under which a layer's value stands for what was there before. */
const hole = (name: string): string => `\${${name}}`;

/**
 * What a recipe changed of the configuration (OCI image-spec, config.md). A variable whose new value holds the old one, as
 * `PATH=/opt/bin:$PATH`, is kept in that form, so that several layers can add to it.
 */
export function configDelta(before: Config, after: Config): ConfigDelta {
  const delta: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(after)) {
    if (key === 'Env') {
      const changed = envDelta(envOf(before['Env']), envOf(value));
      if (changed.length > 0) delta['Env'] = changed;
    } else if (JSON.stringify(before[key]) !== JSON.stringify(value)) delta[key] = value;
  }
  return delta;
}

function envDelta(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): readonly string[] {
  const changed: string[] = [];
  for (const [name, value] of after) {
    const old = before.get(name);
    if (old === value) continue;
    const added = old !== undefined && old !== '' ? value.split(old).join(hole(name)) : value;
    changed.push(`${name}=${added}`);
  }
  return changed;
}

/** A configuration with the changes of layers, lowest first. */
export function withDeltas(base: Config, deltas: readonly ConfigDelta[]): Config {
  let config: Config = { ...base };
  for (const delta of deltas) {
    const { Env: env, ...rest } = delta;
    const merged = envOf(config['Env']);
    for (const [name, value] of envOf(env))
      merged.set(name, value.split(hole(name)).join(merged.get(name) ?? ''));
    const maps: Record<string, unknown> = {};
    for (const key of MAPS) {
      const [old, added] = [config[key], rest[key]];
      if (isRecord(added)) maps[key] = { ...(isRecord(old) ? old : {}), ...added };
    }
    config = {
      ...config,
      ...rest,
      ...maps,
      ...(merged.size === 0 ? {} : { Env: [...merged].map(([name, value]) => `${name}=${value}`) }),
    };
  }
  return config;
}

/** What the image's own keys say, as a change of the configuration. */
export function imageDelta(spec: ImageConfigSpec): ConfigDelta {
  const named = (list: readonly string[]): Config => Object.fromEntries(list.map((v) => [v, {}]));
  const env = Object.entries(spec.env).map(([name, value]) => `${name}=${value}`);
  return {
    ...(env.length === 0 ? {} : { Env: env }),
    ...(spec.entrypoint === undefined ? {} : { Entrypoint: spec.entrypoint }),
    ...(spec.cmd === undefined ? {} : { Cmd: spec.cmd }),
    ...(spec.workdir === undefined ? {} : { WorkingDir: spec.workdir }),
    ...(spec.user === undefined ? {} : { User: spec.user }),
    ...(Object.keys(spec.labels).length === 0 ? {} : { Labels: spec.labels }),
    ...(spec.expose.length === 0
      ? {}
      : { ExposedPorts: named(spec.expose.map((p) => (p.includes('/') ? p : `${p}/tcp`))) }),
    ...(spec.volumes.length === 0 ? {} : { Volumes: named(spec.volumes) }),
  };
}

function envOf(value: unknown): Map<string, string> {
  const map = new Map<string, string>();
  for (const item of Array.isArray(value) ? value : []) {
    const text = String(item);
    const at = text.indexOf('=');
    if (at > 0) map.set(text.slice(0, at), text.slice(at + 1));
  }
  return map;
}
