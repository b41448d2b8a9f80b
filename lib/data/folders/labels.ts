/**
 * Labels: the one check that they pass whatever file they come from, and what is said of them
 * before anything is trained.
 *
 * @module
 */

import { FormatError } from "../../base/errors.ts";
import { type NumericType, toFloat64 } from "../../formats/arrays/numeric.ts";
import { counted } from "../../base/units.ts";
import type { LabelledSet } from "../dataset.ts";

/** A label beyond it is a mistake: networks have a row of weights per class. */
const MAX_LABELS = 2 ** 20;

/** An array of a file that is meant to hold labels. */
export interface LabelArray {
  /** Element type; null where a file has elements that are no numbers. */
  readonly type: NumericType | null;
  /** `[count]` or `[count, 1]`, as MedMNIST and Keras have them. */
  readonly shape: readonly number[];
  /** The elements, little-endian and row-major. */
  readonly bytes: Uint8Array;
}

/**
 * The labels of an array of integers.
 *
 * @param name of the array, for messages
 * @throws {FormatError} when it is no row or column of integers, or one cannot be a class
 */
export function labelsFromArray({ type, shape, bytes }: LabelArray, name: string): Int32Array {
  if (shape.length === 2 && shape[1] > 1) {
    throw new FormatError(
      `${name} has ${shape[1]} numbers for each picture (shape (${shape.join(", ")})), but a ` +
        `picture has one class; save the numbers of the classes, of shape (count,).`,
    );
  }
  const isRow = shape.length === 1 || (shape.length === 2 && shape[1] === 1);
  if (!isRow || type === null || !/^([iu]\d+|bool)$/.test(type)) {
    throw new FormatError(
      `${name} holds no labels: expected integers of shape (count,), found ` +
        `${type ?? "objects"} of shape (${shape.join(", ")}).`,
    );
  }
  // 64-bit integers beyond 2^53 are rounded by this, but stay far from any class.
  return checkedLabels(toFloat64(bytes, type), name);
}

/**
 * Labels that can be classes, from 0 up. They are checked as they stand in the file, before they
 * become 32 bits: 4294967296 is not class 0.
 *
 * @param name of the file, for messages
 * @throws {FormatError} when one is negative, no integer, or beyond any number of classes
 */
export function checkedLabels(values: ArrayLike<number>, name: string): Int32Array {
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (Number.isInteger(value) && value >= 0 && value < MAX_LABELS) continue;
    throw new FormatError(
      `${name} has the label ${value} (number ${i} of ${values.length}); expected integers from 0 ` +
        `to ${MAX_LABELS - 1}.`,
    );
  }
  return Int32Array.from(values);
}

/**
 * The number of classes that labels are of: one more than the largest.
 *
 * @throws {FormatError} when there are not as many labels as images, or one cannot be a class
 */
export function countLabels(labels: Int32Array, images: number, name: string): number {
  if (labels.length !== images) {
    throw new FormatError(`${name} has ${images} images but ${labels.length} labels.`);
  }
  return checkedLabels(labels, name).reduce((most, label) => Math.max(most, label), 0) + 1;
}

/** @throws {FormatError} when a label is of no class that has a name */
export function checkNames(
  labels: Int32Array,
  names: readonly string[] | null,
  name: string,
): void {
  const beyond = labels.find((label) => names !== null && label >= names.length);
  if (beyond === undefined) return;
  throw new FormatError(
    `${name} has the label ${beyond}, but names ${counted(names!.length, "class", "classes")}; ` +
      `they are counted from 0.`,
  );
}

/** Classes that are listed one by one. */
const LISTED = 20;
/** Classes without images that are named. */
const NAMED = 5;

/** Items of each class. */
export function classCounts(set: LabelledSet): number[] {
  const counts = new Array<number>(set.labelCount).fill(0);
  if (counts.length === 0) return counts;
  for (let n = 0; n < set.length; n++) counts[set.label(n)!]++;
  return counts;
}

/**
 * How the labels of a set were understood: `3 classes from folders: bird 2, cat 3, dog 3`, or
 * `no labels`.
 */
export function describeClasses(set: LabelledSet): string {
  if (set.labelCount === 0) return "no labels";
  const { labelNames, labelSource } = set;
  const counts = classCounts(set);
  const from = labelSource && labelSource !== set.name ? ` from ${labelSource}` : "";
  const one = (n: number, i: number) =>
    labelNames ? `${titleOf(labelNames[i])} ${n}` : `${i}: ${n}`;
  const list = counts.slice(0, LISTED).map(one).join(", ");
  const rest = counts.slice(LISTED);
  const more = rest.length === 0
    ? ""
    : `, and ${rest.length} more of ${Math.min(...rest)} to ${Math.max(...rest)}`;
  return `${counted(counts.length, "class", "classes")}${from}: ${list}${more}`;
}

/** A name as a list of them has it: in quotes where it is more than a word. */
function titleOf(name: string): string {
  return /^\p{L}[\p{L}\p{N}_-]*$/u.test(name) ? name : JSON.stringify(name);
}

/** What looks odd about the labels of a set, in sentences. */
export function labelNotes(set: LabelledSet): string[] {
  const { name, labelCount, labelNames } = set;
  if (labelCount === 0) return [];
  const counts = classCounts(set);
  const empty = counts.flatMap((n, i) => n === 0 ? [i] : []);
  const notes: string[] = [];
  const title = (i: number) => labelNames ? `${i} (${labelNames[i]})` : `${i}`;
  if (empty.length > 0) {
    const first = empty.length;
    // Counted from 1: all that is missing comes before all that is there.
    const fromOne = labelNames === null && empty.at(-1) === first - 1;
    notes.push(
      fromOne
        ? `${name}: the labels run from ${first} to ${labelCount - 1}, so class ` +
          `${
            first === 1 ? "0 has" : `0 to ${first - 1} have`
          } no images, and a network would have ` +
          `a class that it never sees; subtract ${first} from the labels if classes are counted ` +
          `from ${first}.`
        : `${name}: no images of class ${empty.slice(0, NAMED).map(title).join(", ")}` +
          (first > NAMED ? ` and ${first - NAMED} more` : "") +
          `, which a network would never see, of ${labelCount}.`,
    );
  }
  return notes;
}
