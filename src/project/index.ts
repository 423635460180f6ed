export { type Goals, goalsOf } from './goals.ts';
export { type Fact, type FactChange, factChanges, layerKey, layerTag } from './key.ts';
export { layersBelow } from './layers.ts';
export { PROJECT_FILES, parseProjectFile } from './other-files.ts';
export { goalNames } from './parse.ts';
export type {
  ChangeClass,
  ImageConfigSpec,
  ImageSpec,
  LayerSpec,
  LayerStep,
  LayerStoreSpec,
  LayerUrl,
  Project,
  Recipe,
  TargetSpec,
} from './project.ts';
export {
  BASE,
  LISTS,
  listText,
  type RecipeInstruction,
  recipeInstructions,
  recipeText,
} from './recipe.ts';
export { projectJsonSchema, projectSchema } from './schema.ts';
