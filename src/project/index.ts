export { type BakeOverride, parseOverrides } from './bake-merge.ts';
export { bakePrint } from './bake-print.ts';
export { type Goals, goalsOf } from './goals.ts';
export { type Fact, type FactChange, factChanges, layerKey, layerTag } from './key.ts';
export { layersBelow } from './layers.ts';
export { itemName, type LayerList, listItems, listText } from './lists.ts';
export { PROJECT_FILES, parseBakeFiles, parseProjectFile } from './other-files.ts';
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
  type RecipeInstruction,
  recipeInstructions,
  recipeText,
} from './recipe.ts';
export { projectJsonSchema, projectSchema } from './schema.ts';
export { editPools, type PoolChange } from './split-edit.ts';
export {
  type PoolPiece,
  type PoolUnit,
  piecesOf,
  type SplitPool,
  type SplitPools,
  splitPools,
} from './split-pools.ts';
