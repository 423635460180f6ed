import { type GoJson, ok, type Result } from '../../base/index.ts';
import { layOut } from '../../disk/index.ts';
import { osRoots } from '../../template/index.ts';
import { Options } from '../build-request.ts';
import { loadOsTemplate } from '../compose/load-template.ts';
import { mergedTemplate } from '../compose/merged-template.ts';
import { withSettings } from '../compose/settings.ts';
import { fail, type Io, printJson, table } from '../io.ts';

type Values = Readonly<Record<string, unknown>>;

/** `varve compose validate TEMPLATE`: checks the file and those it extends; builds and fetches nothing. */
export async function composeValidate(io: Io, template: string, values: Values): Promise<number> {
  const settings = withSettings(io, new Options(values));
  return await Promise.resolve(
    settings.ok ? validate(settings.value, template, values) : fail(io, settings.error),
  );
}

function validate(io: Io, template: string, values: Values): number {
  const loaded = loadOsTemplate(io, template);
  if (!loaded.ok) return fail(io, loaded.error);
  const layout =
    loaded.value.provider.tools === undefined ? ok(undefined) : layOut(loaded.value.template);
  if (!layout.ok) return fail(io, layout.error);
  if (values['merged'] === true) printJson(io, mergedTemplate(loaded.value, 'document'));
  else {
    const { image, target } = loaded.value.template;
    io.out(
      `${template}: ${image.name} ${image.version} for ${target.dist} ${target.arch} is valid\n`,
    );
  }
  return 0;
}

/** `varve compose inspect TEMPLATE`: partitions and packages as they will be asked for. */
export function composeInspectTemplate(io: Io, template: string, values: Values): number {
  const settings = withSettings(io, new Options(values));
  const found = settings.ok ? inspected(settings.value, template) : settings;
  if (!found.ok) return fail(io, found.error);
  const { layout, packages } = found.value;
  if (values['json'] === true) {
    // A layout holds only JSON values.
    printJson(io, { layout: layout as unknown as GoJson, packages: [...packages] });
    return 0;
  }
  const rows = layout.partitions.map((p) => [
    String(p.index),
    p.name,
    p.fs,
    String(p.start),
    p.size === undefined ? 'rest' : String(p.size),
    p.mountPoint ?? '-',
    p.uuid,
  ]);
  io.out(table([['#', 'NAME', 'FS', 'START', 'SIZE', 'MOUNT', 'PARTUUID'], ...rows]));
  io.out(`\npackages asked for: ${packages.join(' ')}\n`);
  return 0;
}

function inspected(
  io: Io,
  template: string,
): Result<{
  readonly layout: ReturnType<typeof layOut> extends Result<infer T> ? T : never;
  readonly packages: readonly string[];
}> {
  const loaded = loadOsTemplate(io, template);
  if (!loaded.ok) return loaded;
  const layout = layOut(loaded.value.template);
  if (!layout.ok) return layout;
  const roots = osRoots(loaded.value.template, loaded.value.provider);
  if (!roots.ok) return roots;
  return ok({ layout: layout.value, packages: roots.value.root.packages.map((p) => p.name) });
}
