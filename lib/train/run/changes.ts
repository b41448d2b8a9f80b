/**
 * What may change when a run is resumed: what leaves the meaning of the weights and moments so far as
 * it is. Anything else is another run, and can begin with the weights of this one.
 *
 * @module
 */

import type { TrainConfig } from "../config/config.ts";

/** A setting that has another value than before. */
export interface Change {
  /** Its name: `train.images`. */
  readonly key: string;
  /** Its value until now; null where it had none. */
  readonly before: unknown;
  /** Its value from now on. */
  readonly after: unknown;
  /** Why a run cannot go on with it; null where it can. */
  readonly refused: string | null;
}

/** Settings that may change, themselves or with all that they consist of. */
const ALLOWED = [
  "data.source", // the data themselves are compared by their fingerprint
  "train.images",
  "train.microBatch",
  "train.recompute",
  "train.precision",
  "train.ema.snapshots",
  "optimizer.lr",
  "optimizer.warmup",
  "optimizer.clip",
  "optimizer.weightDecay",
  "report",
];

/** Why the others may not, the first that fits. */
const REASONS: readonly (readonly [key: string, reason: string])[] = [
  ["network", "the weights are those of another network"],
  ["imm", "the weights were trained for another method"],
  ["objective", "the weights were trained for another objective"],
  ["optimizer", "the optimizer's moments were gathered with it"],
  ["train.init", "the run began with those weights, or without any"],
  ["train.resetLabels", "the run began with weights"],
  ["train.batch", "steps, and the optimizer's moments, are of batches of that size"],
  ["train.seed", "the order of the images and all noise follow from it"],
  ["train.ema", "the averages of the weights so far were made with it"],
  ["data", "it decides what the images are that the network sees"],
];

/** The settings in which two configurations differ, in their order. */
export function configChanges(before: TrainConfig, after: TrainConfig): Change[] {
  const found: Change[] = [];
  const visit = (a: unknown, b: unknown, path: readonly string[]) => {
    if (isObject(a) && isObject(b)) {
      for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
        visit(a[key], b[key], [...path, key]);
      }
    } else if (JSON.stringify(a) !== JSON.stringify(b)) {
      const key = path.join(".");
      found.push({ key, before: a ?? null, after: b ?? null, refused: refusal(key) });
    }
  };
  visit(before, after, []);
  return found;
}

/** `train.images from 320 to 640` */
export function describeChange({ key, before, after }: Change): string {
  return `${key} from ${JSON.stringify(before)} to ${JSON.stringify(after)}`;
}

function refusal(key: string): string | null {
  const isIn = (group: string) => key === group || key.startsWith(`${group}.`);
  if (ALLOWED.some(isIn)) return null;
  return REASONS.find(([group]) => isIn(group))?.[1] ?? "it changes what the run is";
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
