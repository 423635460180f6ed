import { editDistance } from '../base/index.ts';

/** The option nearest to `word`, when at most two edits away and none equals it (BuildKit `suggest.Search`). */
export function suggest(
  word: string,
  options: Iterable<string>,
  match: { readonly caseSensitive: boolean },
): string | undefined {
  const wanted = match.caseSensitive ? word : word.toLowerCase();
  let best: string | undefined;
  let bestDistance = 3;
  for (const option of options) {
    const candidate = match.caseSensitive ? option : option.toLowerCase();
    if (candidate === wanted) return undefined;
    // A distance is at least the difference in length.
    if (Math.abs(candidate.length - wanted.length) >= bestDistance) continue;
    const distance = editDistance(wanted, candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  if (best === undefined || match.caseSensitive) return best;
  return word === word.toUpperCase() && word !== word.toLowerCase() ? best.toUpperCase() : best;
}

/** `message` with ` (did you mean X?)` behind it when something is near. */
export function withSuggestion(
  message: string,
  word: string,
  options: Iterable<string>,
  match: { readonly caseSensitive: boolean },
): string {
  const near = suggest(word, options, match);
  return near === undefined ? message : `${message} (did you mean ${near}?)`;
}
