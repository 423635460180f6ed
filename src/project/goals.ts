import { err, ok, type Result } from '../base/index.ts';
import { layersBelow } from './layers.ts';
import { goalNames } from './parse.ts';
import type { ImageSpec, LayerSpec, Project, TargetSpec } from './project.ts';
import { cycle, unknownName } from './targets.ts';

/** What a command asks of a project. */
export interface Goals {
  /** Lowest first: each behind what it needs. */
  readonly layers: readonly LayerSpec[];
  readonly images: readonly ImageSpec[];
  /** Each behind those whose result it uses. */
  readonly targets: readonly TargetSpec[];
}

/** What `names` mean: groups, images, targets and layers. Without names the group `default`, else every image and target. */
export function goalsOf(project: Project, names: readonly string[]): Result<Goals> {
  const images = new Map<string, ImageSpec>();
  const targets = new Map<string, TargetSpec>();
  const layers = new Set<string>();
  const place = { file: project.file, span: { offset: 0, length: 1 } };
  const add = (name: string, path: readonly string[]): Result<void> => {
    if (path.includes(name)) return err(cycle('the group', [...path, name], place));
    const [group, image, target] = [
      project.groups.get(name),
      project.images.get(name),
      project.targets.get(name),
    ];
    if (group !== undefined) {
      // A group may have the name of one of its members.
      for (const member of group) {
        const inner = member === name ? addOne(member) : add(member, [...path, name]);
        if (!inner.ok) return inner;
      }
      return ok(undefined);
    }
    if (image === undefined && target === undefined && !project.layers.has(name))
      return err({ ...unknownName('target', name, goalNames(project), place), places: [] });
    return addOne(name, path);
  };
  const addOne = (name: string, path: readonly string[] = []): Result<void> => {
    const [image, target] = [project.images.get(name), project.targets.get(name)];
    if (image !== undefined) {
      images.set(name, image);
      for (const layer of image.layers) layers.add(layer);
    }
    if (target !== undefined && !targets.has(name)) {
      for (const where of Object.values(target.contexts)) {
        const other = /^(?:target|image):(.+)$/.exec(where)?.[1];
        if (other === undefined) continue;
        const inner = add(other, [...path, name]);
        if (!inner.ok) return inner;
      }
      targets.set(name, target);
    }
    if (image === undefined && target === undefined) layers.add(name);
    return ok(undefined);
  };
  const all = project.groups.has('default')
    ? ['default']
    : [...project.images.keys(), ...project.targets.keys()];
  const wanted = names.length > 0 ? names : all.length > 0 ? all : [...project.layers.keys()];
  for (const name of wanted) {
    const added = add(name, []);
    if (!added.ok) return added;
  }
  return ok({
    layers: layersBelow(project.layers, [...layers]),
    images: [...images.values()],
    targets: [...targets.values()],
  });
}
