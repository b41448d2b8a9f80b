/**
 * Which of a file's tensors are the network's weights. A training checkpoint holds several sets of
 * the same names, behind different prefixes: current weights, their average, an optimiser's state.
 *
 * @module
 */

import { FormatError, UsageError } from "../errors.ts";
import { LANDMARKS } from "../models/infer.ts";
import type { ForeignTensor } from "./foreign_file.ts";

/** A set of tensors that makes a network. */
export interface WeightSet {
  /** What stood before the network's own names, as `ema.model.`. */
  readonly prefix: string;
  /** By official name, which begins with `model.`. */
  readonly tensors: ReadonlyMap<string, ForeignTensor>;
}

/** First letters of the official names: those of the wrapper's only child. */
const OFFICIAL = "model.";

/** Words in a prefix, the most wanted first: averages, then what else holds a network. */
const WANTED = [/(^|[._])ema/, /averag|shadow/, /state_dict/, /(^|[._])(model|net|network)\./];
/** Parts of a checkpoint that have a network's names but are not its weights. */
const UNWANTED = /(^|\.)(optim\w*|opt|exp_avg\w*|training|grads?|momentum)\./;

/**
 * All sets in a file, the most likely one first.
 *
 * @throws {FormatError} when there is none
 */
export function findWeightSets(
  tensors: ReadonlyMap<string, ForeignTensor>,
  source: string,
): WeightSet[] {
  const prefixes = new Set<string>();
  for (const name of tensors.keys()) {
    const landmark = LANDMARKS.find((l) => name === l || name.endsWith(`.${l}`));
    if (landmark !== undefined) prefixes.add(name.slice(0, name.length - landmark.length));
  }
  const sets = [...prefixes].filter((prefix) => !UNWANTED.test(prefix))
    .sort((a, b) => rank(a) - rank(b) || a.length - b.length)
    .map((prefix) => ({ prefix, tensors: below(prefix, tensors) }));
  if (sets.length === 0) {
    const names = [...tensors.keys()].slice(0, 3).join(", ");
    throw new FormatError(
      `${source} has no network of a known kind: none of its ${tensors.size} tensors ` +
        `${names === "" ? "" : `(${names}, …) `}ends in ${LANDMARKS.join(" or ")}.`,
    );
  }
  return sets;
}

/**
 * The set that was asked for, else the most likely one.
 *
 * @param wanted a prefix or the beginning of one, as `ema`
 * @throws {UsageError} when no prefix begins like that, with those that there are
 */
export function chooseWeightSet(
  sets: readonly WeightSet[],
  wanted: string | undefined,
  source: string,
): WeightSet {
  if (wanted === undefined) return sets[0];
  const found = sets.find(({ prefix }) => prefix === wanted || prefix.startsWith(`${wanted}.`));
  if (found === undefined) {
    throw new UsageError(
      `--weights: ${source} has no weights under "${wanted}"; it has ` +
        `${sets.map(({ prefix }) => `"${prefix.replace(/\.$/, "")}"`).join(", ")}.`,
    );
  }
  return found;
}

function rank(prefix: string): number {
  const place = WANTED.findIndex((pattern) => pattern.test(prefix));
  return place < 0 ? WANTED.length : place;
}

/** Tensors of a prefix under their official names; PyTorch's compiler leaves marks within names. */
function below(
  prefix: string,
  tensors: ReadonlyMap<string, ForeignTensor>,
): Map<string, ForeignTensor> {
  const own = new Map<string, ForeignTensor>();
  for (const [name, tensor] of tensors) {
    if (!name.startsWith(prefix)) continue;
    own.set(OFFICIAL + name.slice(prefix.length).replaceAll("_orig_mod.", ""), tensor);
  }
  return own;
}
