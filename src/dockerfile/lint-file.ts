import type { ParsedDockerfile } from './ast.ts';
import type { CommandBase, Instructions } from './command.ts';
import type { Linter } from './linter.ts';
import { MESSAGES, rule } from './rules.ts';

const RESERVED: ReadonlySet<string> = new Set(['context', 'scratch']);

/** NoEmptyContinuation: what the line parser remarked. Comes before `parseInstructions` in BuildKit's order. */
export function lintLines(parsed: ParsedDockerfile, linter: Linter): void {
  for (const warning of parsed.warnings)
    linter.warn(rule('NoEmptyContinuation'), MESSAGES.NoEmptyContinuation(), warning);
}

/** ReservedStageName, DuplicateStageName and ConsistentInstructionCasing, in BuildKit's order. */
export function lintStages(instructions: Instructions, linter: Linter): void {
  lintStageNames(instructions, linter);
  lintCasing(instructions, linter);
}

function lintStageNames({ stages }: Instructions, linter: Linter): void {
  const seen = new Set<string>();
  for (const { stageName, lines, as, span } of stages) {
    if (stageName === '') continue;
    const at = { lines, span: as?.span ?? span };
    if (RESERVED.has(stageName))
      linter.warn(rule('ReservedStageName'), MESSAGES.ReservedStageName(stageName), at);
    if (seen.has(stageName))
      linter.warn(rule('DuplicateStageName'), MESSAGES.DuplicateStageName(stageName), at);
    seen.add(stageName);
  }
}

/** The majority decides; upper case wins a tie. ARG above the first FROM does not count. */
function lintCasing({ stages }: Instructions, linter: Linter): void {
  const all: CommandBase[] = stages.flatMap((stage) => [stage, ...stage.commands]);
  const lower = all.filter(({ name }) => name === name.toLowerCase()).length;
  const upper = all.filter(({ name }) => name === name.toUpperCase()).length;
  const casing = lower > upper ? 'lowercase' : 'uppercase';
  for (const { name, keyword, lines } of all) {
    const right = casing === 'lowercase' ? name.toLowerCase() : name.toUpperCase();
    if (name === right) continue;
    const message = MESSAGES.ConsistentInstructionCasing(name, casing);
    linter.warn(rule('ConsistentInstructionCasing'), message, { lines, span: keyword });
  }
}
