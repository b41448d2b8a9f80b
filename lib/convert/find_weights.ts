/**
 * Which of a file's tensors are the network's weights. A training checkpoint holds several sets of
 * the same names, behind different prefixes: current weights, their average, an optimiser's state.
 *
 * @module
 */

import { FormatError, UsageError } from "../base/errors.ts";
import { LANDMARKS } from "../models/infer.ts";
import { sameShape, sizeOf } from "../tensor/tensor.ts";
import {
  dotlessAverages,
  isAverage,
  type NamelessAverage,
  namelessAverages,
  strangeAverage,
} from "./averages.ts";
import type { ForeignTensor } from "./formats/format.ts";

/** A set of tensors that makes a network. */
export interface WeightSet {
  /** What stood before the network's own names, as `ema.model.`. */
  readonly prefix: string;
  /** By official name, which begins with `model.`; of a nameless average the weights that it is of. */
  readonly tensors: ReadonlyMap<string, ForeignTensor>;
  /** Whether the file says that it is an average. */
  readonly average: boolean;
  /** What it lacked and another set has, as buffers, which are not averaged. */
  readonly borrowed: Borrowed | null;
  /** Averages in the order of the network's parameters, which take the place of `tensors`. */
  readonly nameless?: NamelessAverage;
}

/** Tensors of another set. */
export interface Borrowed {
  /** Prefix of the other set. */
  readonly from: string;
  /** Official names. */
  readonly names: readonly string[];
}

/** First letters of the official names: those of the wrapper's only child. */
const OFFICIAL = "model.";

/** Names in networks of other programs. */
const FOREIGN: readonly (readonly [mark: RegExp, what: string])[] = [
  [/lora_(?:up|down|A|B)\b/, "a LoRA, the difference of a network from another"],
  [/(^|\.)(?:down|up)_blocks\.\d+\.resnets\./, "a U-Net or an autoencoder of diffusers"],
  [/(^|\.)transformer_blocks\.\d+\./, "a transformer of diffusers"],
  [/(^|\.)(?:single|double|joint)_blocks\.\d+\./, "a transformer of Flux or Stable Diffusion 3"],
  [/(^|\.)emb_(?:fourier|noise)\b/, "a network of EDM2"],
  [/(^|\.)input_blocks\.\d+\./, "a U-Net of guided-diffusion or latent diffusion"],
  [/(^|\.)encoder\.down\.\d+\./, "an autoencoder of latent diffusion"],
  [/(^|\.)Mixed_\d[a-e]\./, "an Inception network"],
];

/** Words in a prefix of what is no average, the most wanted first. */
const WANTED = [/state_dict/, /(^|[._])(model|net|network)\./];
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
  const named = [...prefixes].filter((prefix) => !UNWANTED.test(prefix))
    .map((prefix) => ({
      prefix,
      tensors: below(prefix, tensors),
      average: isAverage(prefix, tensors),
    }));
  const current = named.filter(({ average }) => !average).sort(byLikelihood);
  const lists = namelessAverages(tensors);
  const sets: WeightSet[] = [
    ...named.filter(({ average }) => average).sort(byLikelihood)
      .map((set) => completed(set, current)),
    ...dotlessAverages(tensors, current).map(({ source, ...set }) => ({
      ...set,
      average: true,
      borrowed: borrowed(source.prefix, set.tensors, source.tensors),
    })),
    ...lists.map((nameless) => ({
      prefix: nameless.prefix,
      tensors: current[0]?.tensors ?? new Map(),
      average: true,
      borrowed: null,
      nameless,
    })),
    ...current.map((set) => completed(set, current)),
  ];
  if (sets.length === 0) {
    const names = [...tensors.keys()];
    const foreign = FOREIGN.find(([mark]) => names.some((name) => mark.test(name)));
    throw new FormatError(
      `${source} has no network of a known kind: none of its ${tensors.size} tensors ` +
        `${names.length === 0 ? "" : `(${names.slice(0, 3).join(", ")}, …) `}ends in ` +
        `${LANDMARKS.join(" or ")}.` +
        (foreign === undefined ? "" : ` It seems to be ${foreign[1]}, which imm does not have.`),
    );
  }
  return sets;
}

/** A set, and what is not certain about it. */
export interface ChosenSet {
  readonly set: WeightSet;
  /** Why another one may be meant: a sentence; null where there is no doubt. */
  readonly doubt: string | null;
}

/**
 * The set that was asked for, else the average where there is one, else the only one.
 *
 * @param tensors all of the file
 * @param wanted a prefix or the beginning of one, as `ema`; a dot for no prefix
 * @throws {UsageError} when no prefix begins like that, with those that there are
 */
export function chooseWeightSet(
  sets: readonly WeightSet[],
  tensors: ReadonlyMap<string, ForeignTensor>,
  wanted: string | undefined,
  source: string,
): ChosenSet {
  if (wanted !== undefined) {
    const found = sets.find(({ prefix }) =>
      [prefix, shown(prefix) || "."].includes(wanted) || prefix.startsWith(`${wanted}.`)
    );
    if (found === undefined) {
      throw new UsageError(
        `--weights: ${source} has no weights under "${wanted}"; it has ${listed(sets)}.`,
      );
    }
    return { set: found, doubt: null };
  }
  const averages = sets.filter(({ average }) => average);
  const [set, ...others] = averages.length > 0 ? averages : sets;
  const different = others.filter((other) => !isSame(set, other));
  if (different.length > 0) {
    return {
      set,
      doubt: `${source} holds ${averages.length > 0 ? "several averages" : "several networks"}: ` +
        `${listed([set, ...different])}; ` +
        (averages.length > 0 ? "" : "one may be the average of another; ") +
        `choose with --weights.`,
    };
  }
  const strange = averages.length > 0 ? null : strangeAverage(
    tensors,
    sets.map(({ prefix }) => prefix),
    [...set.tensors.values()].reduce((sum, { shape }) => sum + sizeOf(shape), 0),
  );
  return {
    set,
    doubt: strange === null ? null : `${source} seems to hold an average of the weights under ` +
      `"${strange}", in a layout that is not understood. Save it under the names of the ` +
      `parameters, or take the current weights with --weights ${shown(set.prefix) || "."}.`,
  };
}

/** Prefixes for people. */
function listed(sets: readonly WeightSet[]): string {
  return sets.map(({ prefix }) => `"${shown(prefix)}"`).join(", ");
}

function shown(prefix: string): string {
  return prefix.replace(/\.$/, "");
}

type NamedSet = Pick<WeightSet, "prefix" | "tensors" | "average">;

/**
 * An average of the trained parameters alone, with buffers and frozen parameters from the weights
 * that it is of: those that have all its names, and more.
 */
function completed(set: NamedSet, current: readonly NamedSet[]): WeightSet {
  const source = current.find(({ tensors }) =>
    tensors.size > set.tensors.size && [...set.tensors].every(([name, { shape }]) => {
      const of = tensors.get(name);
      return of !== undefined && sameShape(of.shape, shape);
    })
  );
  if (source === undefined) return { ...set, borrowed: null };
  // In the order of the weights, which are all there.
  const tensors = new Map([...source.tensors, ...set.tensors]);
  return { ...set, tensors, borrowed: borrowed(source.prefix, tensors, source.tensors) };
}

/** Which tensors of a set are those of another. */
function borrowed(
  from: string,
  tensors: ReadonlyMap<string, ForeignTensor>,
  source: ReadonlyMap<string, ForeignTensor>,
): Borrowed | null {
  const names = [...tensors].filter(([name, tensor]) => source.get(name) === tensor)
    .map(([name]) => name);
  return names.length > 0 ? { from, names } : null;
}

/** Whether two names stand for the same numbers, as those of one module that two others hold. */
function isSame(a: WeightSet, b: WeightSet): boolean {
  return a.nameless === undefined && b.nameless === undefined &&
    [...a.tensors].every(([name, { place }]) =>
      place !== undefined && place === b.tensors.get(name)?.place
    );
}

function byLikelihood(a: { prefix: string }, b: { prefix: string }): number {
  return rank(a.prefix) - rank(b.prefix) || a.prefix.length - b.prefix.length;
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
