import { parseTrigger } from '../dockerfile/index.ts';
import type { Budget } from './budget.ts';
import { cloneImage, imageSize } from './image-config.ts';
import { planCommands, type StageList } from './plan.ts';
import type { StageState } from './stage-state.ts';
import { locate, stop } from './stop.ts';

/** Puts the triggers of a stage's base in front of its instructions; true when these read from other stages. */
export function fireTriggers(list: StageList, state: StageState): boolean {
  if (state.triggered || state.stage === undefined || state.dispatched) return false;
  const { base, stage } = state;
  // Which triggers an image has is known when it is there.
  if (base === undefined && !state.resolved) return false;
  state.triggered = true;
  const triggers =
    base === undefined
      ? state.image.config.OnBuild
      : base.commands.flatMap(({ command, onBuild }) =>
          command.kind === 'onbuild' && !onBuild ? [command.expression] : [],
        );
  if (base === undefined) state.image.config.OnBuild = [];
  if (triggers.length === 0) return false;
  const commands = triggers.map((text) => {
    const command = parseTrigger(text, '<onbuild>');
    if (command.ok) return command.value;
    return locate(stage, () => stop(command.error.message, 'DF007'));
  });
  const planned = planCommands(list, state, commands, stage);
  state.commands = [...planned, ...state.commands];
  state.stepTotal += planned.length;
  return planned.some((p) => p.sources.length > 0);
}

/** A stage based on another one starts where that one ended; its triggers stay behind. */
export function inherit(state: StageState, base: StageState, budget: Budget): void {
  state.state = base.state;
  state.paths = base.paths;
  state.platform = base.platform;
  budget.takeText(imageSize(base.image));
  const image = cloneImage(base.image);
  state.image = { ...image, config: { ...image.config, OnBuild: [] } };
  state.baseImage = base.baseImage;
  for (const [key, value] of base.buildArgs) state.buildArgs.set(key, value);
  state.workdirSet = base.workdirSet;
}
