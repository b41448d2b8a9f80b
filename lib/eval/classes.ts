/**
 * Which class of one set is which class of another. Numbers follow from how a set was stored (the
 * order of its folders, say), so a class is compared by its name wherever names are known.
 *
 * @module
 */

import { UsageError } from "../base/errors.ts";

/** Classes of a set of images, or of a classifier. */
export interface ImageClasses {
  /** Number of classes; labels are below it. */
  readonly count: number;
  /** Their names, in the order of their numbers; null where they have none. */
  readonly names: readonly string[] | null;
  /** The classes that occur, by number; left out where all do, or it is not known. */
  readonly present?: readonly number[];
}

/** Classes with what messages call their set. */
export interface NamedClasses {
  /** What messages call the set. */
  readonly set: string;
  /** Its classes. */
  readonly classes: ImageClasses;
}

/** Classes that a classifier tells apart. */
export function classesOfClassifier(
  count: number,
  names: readonly string[] | null = null,
): NamedClasses {
  return { set: "the classifier", classes: { count, names } };
}

/** How the classes of one set are found in another. */
export interface ClassMatch {
  /** For each class of the first set its number in the second; -1 where it is not there. */
  readonly numbers: Int32Array;
  /** What should be said about it: names on one side only. */
  readonly warnings: readonly string[];
}

/** Classes that a message lists. */
const LISTED = 12;

/**
 * Finds each class of `from` in `to`.
 *
 * - Where both have names, names decide.
 * - Where one has names that are all whole numbers (folders `0` to `9`), the numbers of the other are
 *   taken for such names.
 * - Else numbers decide, with a warning where one side has names.
 *
 * @throws {UsageError} when a class that occurs in `from` is not in `to`, with the classes of each
 */
export function matchClasses(from: NamedClasses, to: NamedClasses): ClassMatch {
  const [a, b] = [from.classes, to.classes];
  const byName = (a.names !== null && b.names !== null) ||
    [a.names, b.names].some((names) => names?.every((name) => /^(0|[1-9]\d*)$/.test(name)));
  const namesOf = ({ names, count }: ImageClasses) => {
    return byName && names ? names : Array.from({ length: count }, (_, i) => String(i));
  };
  const numberOf = new Map(namesOf(b).map((name, number) => [name, number]));
  const numbers = Int32Array.from(namesOf(a), (name) => numberOf.get(name) ?? -1);
  const present = a.present ?? numbers.keys();
  const lost = [...present].filter((number) => !((numbers[number] ?? -1) >= 0));
  if (lost.length > 0) {
    const text = lost.slice(0, LISTED).map((number) => namesOf(a)[number] ?? String(number));
    throw new UsageError(
      `${from.set} has ${lost.length === 1 ? "the class" : "the classes"} ` +
        `${text.join(", ")}${lost.length > LISTED ? ", …" : ""}, which ${to.set} has not: ` +
        `${describe(from)}, ${describe(to)}; a class is compared ` +
        `${byName ? "by its name" : "by its number"}, so make them agree.`,
    );
  }
  const named = a.names ? from : to;
  const other = a.names ? to : from;
  return {
    numbers,
    warnings: byName || named.classes.names === null ? [] : [
      `Classes were compared by number: those of ${other.set} have no names, those of ` +
      `${named.set} are ${list(named.classes)}.`,
    ],
  };
}

/** `pets has cat, dog`. */
function describe({ set, classes }: NamedClasses): string {
  return `${set} has ${list(classes)}`;
}

function list({ names, count }: ImageClasses): string {
  if (names) return names.slice(0, LISTED).join(", ") + (names.length > LISTED ? ", …" : "");
  return count === 1 ? "the class 0" : `the classes 0 to ${count - 1} without names`;
}

/** The classes that labels are of. */
export function presentClasses(labels: Iterable<number>): number[] {
  return [...new Set(labels)].filter((label) => label >= 0).sort((a, b) => a - b);
}
