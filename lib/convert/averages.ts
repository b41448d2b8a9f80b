/**
 * Averages of the weights in the layouts that trainers leave: under a word that says so, under names
 * that have lost their dots, or as a list without names. The layouts are listed in docs/formats.md.
 *
 * @module
 */

import { basename, dirname, extname } from "jsr:@std/path@1.0.8";
import { FormatError } from "../base/errors.ts";
import type { ParameterStore } from "../nn/parameters.ts";
import { sameShape, sizeOf } from "../tensor/tensor.ts";
import { LANDMARKS } from "../models/infer.ts";
import type { ForeignTensor } from "./formats/format.ts";

/** Tensors of a file by name. */
export type Tensors = ReadonlyMap<string, ForeignTensor>;

/** Words for an average, in lower case with underscores; `exp_avg` is an optimiser's. */
const AVERAGE =
  /(?:^|[._\d])(?:emas?|averaged?|(?<!exp_)avg|swa|shadow|polyak)(?![a-z])(?!_(?:grad|loss))/;
/** What lies beside an average in the same object: the weights that it is made of. */
const ITS_SOURCE = /(?:^|[._])(?:online|source|current|raw|live|student)(?![a-z])/;
/** How diffusers' EMAModel, torch_ema and score_sde keep averages: in the order of parameters(). */
const NAMELESS = /^(.*shadow_params\.)(\d+)$/;
/** An average that is not understood matters when it is as large as this part of the weights. */
const WORTH_MENTIONING = 0.5;

/** `modelEMA` as `model_ema`. */
function lowerCase(name: string): string {
  return name.replace(/([a-z\d])([A-Z])/g, "$1_$2").toLowerCase();
}

/** Whether what stands before names of weights says that they are an average. */
export function isAverage(prefix: string, tensors: Tensors): boolean {
  // torch.optim.swa_utils.AveragedModel, whatever it was saved as.
  for (const { index } of prefix.matchAll(/(?<=^|\.)module\./g)) {
    if (tensors.has(`${prefix.slice(0, index)}n_averaged`)) return true;
  }
  // Lightning's WeightAveraging swaps the average into the place of the weights.
  if (prefix.startsWith("state_dict.")) {
    const swapped = [...tensors.keys()].some((name) => name.startsWith("current_model_state."));
    if (swapped) return true;
  }
  const words = lowerCase(prefix);
  const match = AVERAGE.exec(words);
  return match !== null && !ITS_SOURCE.test(words.slice(match.index));
}

/** Weights under their names without dots, as LitEma (latent diffusion, Lightning) keeps them. */
export interface DotlessAverage {
  /** What stands before the names, as `state_dict.model_ema.diffusion_model`. */
  readonly prefix: string;
  /** By official name; what the trainer did not average is that of the source. */
  readonly tensors: Tensors;
  readonly source: Source;
}

/** A set with proper names. */
interface Source {
  readonly prefix: string;
  readonly tensors: Tensors;
}

/** @param sources the sets with proper names, of which one has been averaged */
export function dotlessAverages(
  tensors: Tensors,
  sources: readonly Source[],
): DotlessAverage[] {
  const found: DotlessAverage[] = [];
  for (const landmark of LANDMARKS) {
    const mark = landmark.replaceAll(".", "");
    for (const name of tensors.keys()) {
      const prefix = name.slice(0, -mark.length);
      if (!name.endsWith(mark) || !isAverage(prefix, tensors)) continue;
      const own = [...tensors.keys()].filter((other) =>
        other.startsWith(prefix) && sizeOf(tensors.get(other)!.shape) > 1
      );
      for (const source of sources) {
        const merged = new Map(source.tensors);
        let count = 0;
        for (const [official, { shape }] of source.tensors) {
          const name = prefix + official.replace(/^model\./, "").replaceAll(".", "");
          const averaged = tensors.get(name);
          if (averaged === undefined || !sameShape(averaged.shape, shape)) continue;
          merged.set(official, averaged);
          if (sizeOf(shape) > 1) count++;
        }
        if (count === own.length) {
          found.push({ prefix, tensors: merged, source });
          break;
        }
      }
    }
  }
  return found;
}

/** Averaged parameters in the order of the network's, without names. */
export interface NamelessAverage {
  /** What stands before the numbers, as `ema.shadow_params.`. */
  readonly prefix: string;
  readonly list: readonly ForeignTensor[];
}

/** All lists of averages without names. */
export function namelessAverages(tensors: Tensors): NamelessAverage[] {
  const lists = new Map<string, ForeignTensor[]>();
  for (const [name, tensor] of tensors) {
    const match = NAMELESS.exec(name);
    if (match === null) continue;
    const list = lists.get(match[1]) ?? [];
    list[Number(match[2])] = tensor;
    lists.set(match[1], list);
  }
  return [...lists].map(([prefix, list]) => ({ prefix, list }));
}

/**
 * The averages of a list under the names of the network's parameters, whose order they have: all of
 * them, or those that are trained.
 *
 * @throws {FormatError} when the shapes are others
 */
export function nameAverages(
  { prefix, list }: NamelessAverage,
  { specs }: ParameterStore,
  source: string,
): Map<string, ForeignTensor> {
  const all = [...specs.values()];
  for (const candidates of [all, all.filter(({ trainable }) => trainable)]) {
    const fits = candidates.length === list.length &&
      candidates.every(({ shape }, i) => list[i] !== undefined && sameShape(shape, list[i].shape));
    if (fits) return new Map(candidates.map(({ name }, i) => [name, list[i]]));
  }
  throw new FormatError(
    `${source} has an average of ${list.length} tensors without names under ` +
      `"${
        prefix.replace(/\.$/, "")
      }", but the ${all.length} parameters of the network have other ` +
      `shapes or another order; save the average under the names of the parameters, or take the ` +
      `current weights with --weights.`,
  );
}

/**
 * Where an average seems to be that none of the sets is: what stands before its names, or null.
 *
 * @param prefixes of the sets, none of which is an average
 * @param size number of elements of the weights that would be taken
 */
export function strangeAverage(
  tensors: Tensors,
  prefixes: readonly string[],
  size: number,
): string | null {
  const groups = new Map<string, number>();
  for (const [name, { shape }] of tensors) {
    // A set may lie beside its average in an object whose name says average.
    const known = Math.max(0, ...prefixes.filter((p) => name.startsWith(p)).map((p) => p.length));
    const words = name.slice(known).split(".");
    const at = words.findIndex((word) => AVERAGE.test(lowerCase(word)));
    if (at < 0) continue;
    // Where the word is a part of the name itself, as in ema_x_embedder_proj_weight, all are one.
    const last = at === words.length - 1 ? AVERAGE.exec(lowerCase(words[at]))![0] : words[at];
    const group = name.slice(0, known) + [...words.slice(0, at), last].join(".");
    groups.set(group, (groups.get(group) ?? 0) + sizeOf(shape));
  }
  const [largest] = [...groups].sort(([, a], [, b]) => b - a);
  return largest !== undefined && largest[1] >= WORTH_MENTIONING * size ? largest[0] : null;
}

/**
 * The name of a file beside a checkpoint that has the average of it, as programs leave it that write
 * two files; null where there is none.
 */
export async function averageBeside(path: string): Promise<string | null> {
  const name = basename(path);
  const [stem, end] = [name.slice(0, name.length - extname(name).length), extname(name)];
  if (isAverage(`${stem}.`, new Map())) return null;
  const step = /^model_?(\d+)$/.exec(stem)?.[1];
  const others: string[] = [];
  try {
    for await (const { name: other, isFile } of Deno.readDir(dirname(path))) {
      if (isFile && other.endsWith(end)) others.push(other.slice(0, other.length - end.length));
    }
  } catch { // a folder that may not be listed
    return null;
  }
  const found = others.sort().find((other) =>
    // OpenAI's programs: model050000.pt and ema_0.9999_050000.pt.
    step !== undefined && new RegExp(`^ema_[\\d.]+_${step}$`).test(other) ||
    // NeMo and others: name-EMA.ckpt, name_ema.pt, ema_name.pt.
    ["-ema", "_ema"].some((end) => other.toLowerCase() === stem.toLowerCase() + end) ||
    ["ema-", "ema_"].some((begin) => other.toLowerCase() === begin + stem.toLowerCase())
  );
  return found === undefined ? null : found + end;
}
