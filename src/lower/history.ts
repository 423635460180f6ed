import type { HistoryEntry } from './image-config.ts';
import type { Lowering, StageState } from './stage-state.ts';

/** Adds an entry to the history of a stage's image. `step` tells that the instruction changed the file system by an op. */
export function commit(
  lowering: Lowering,
  stage: StageState,
  text: string,
  options: { readonly layer: boolean; readonly step?: boolean } = { layer: false },
): void {
  lowering.budget.takeText(text.length);
  const entry: { -readonly [name in keyof HistoryEntry]: HistoryEntry[name] } = {
    created_by: options.step === true ? `${text} # buildkit` : text,
    comment: 'buildkit.dockerfile.v0',
  };
  if (lowering.created !== undefined) entry.created = lowering.created;
  if (!options.layer) entry.empty_layer = true;
  stage.image.history.push(entry);
}
