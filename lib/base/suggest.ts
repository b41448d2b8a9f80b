/**
 * "Did you mean …?" for words that people type: verbs, options, configuration keys.
 *
 * @module
 */

/**
 * The candidate that `word` most probably stands for, or undefined when none is near: at most a
 * third of the letters may be wrong, or the word begins exactly one candidate.
 */
export function closest(word: string, candidates: Iterable<string>): string | undefined {
  const all = [...candidates];
  const target = word.toLowerCase();
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(target.length / 3)) + 1;
  for (const candidate of all) {
    const distance = editDistance(target, candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  if (best !== undefined) return best;
  const begun = all.filter((candidate) => candidate.toLowerCase().startsWith(target));
  return target !== "" && begun.length === 1 ? begun[0] : undefined;
}

/** A sentence to append to an error: `; did you mean "train"?`, or nothing. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const candidate = closest(word, candidates);
  return candidate === undefined ? "" : `; did you mean "${candidate}"?`;
}

/**
 * Letters to insert, delete, replace or swap with their neighbour to get from `a` to `b` (optimal
 * string alignment).
 */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let distance = Math.min(row[j - 1] + 1, last[j] + 1, last[j - 1] + same);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) distance = Math.min(distance, beforeLast[j - 2] + 1);
      row.push(distance);
    }
    [beforeLast, last] = [last, row];
  }
  return last[b.length];
}
