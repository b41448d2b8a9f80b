/**
 * Which class an image is asked to be. The answer depends on the image's seed alone, so that an
 * image is the same in any selection of seeds.
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import { classKey } from "../imm/randomness.ts";
import { threefry2x32 } from "../tensor/threefry.ts";
import { parseRanges } from "../units.ts";

/** A rule for the classes of a set of images. */
export type ClassChoice =
  /** Seed i gets class number i mod n of the list; `null` lists all classes in order. */
  | { readonly kind: "cycle"; readonly classes: readonly number[] | null }
  /** Every seed gets a class of its own, all being equally likely. */
  | { readonly kind: "random" }
  /** No image has a class. */
  | { readonly kind: "none" };

/** Reads `all`, `random`, `none` or a list like `0-4,7`; `name` is what it is for. */
export function parseClasses(text: string, name: string): ClassChoice {
  switch (text) {
    case "all":
      return { kind: "cycle", classes: null };
    case "random":
    case "none":
      return { kind: text };
  }
  if (!/^\d/.test(text)) {
    throw new UsageError(
      `${name} expects all, random, none or a list of classes as in 0-4,7, but got "${text}".`,
    );
  }
  return { kind: "cycle", classes: parseRanges(text, name) };
}

/**
 * The classes of images by their seeds.
 *
 * @param classes number of classes that the model has, 0 for none
 * @throws {UsageError} when the rule asks for a class that there is not
 */
export function chooseLabels(
  choice: ClassChoice,
  seeds: readonly number[],
  classes: number,
): (number | null)[] {
  if (choice.kind === "none") return seeds.map(() => null);
  if (classes === 0) {
    throw new UsageError("the model has no classes; leave out --classes, or give --classes none.");
  }
  if (choice.kind === "random") {
    return seeds.map((seed) => {
      const [word] = threefry2x32(...classKey(seed), 0, 0);
      return Math.floor(word * 2 ** -32 * classes);
    });
  }
  const list = choice.classes ?? Array.from({ length: classes }, (_, i) => i);
  const unknown = list.find((label) => label >= classes);
  if (unknown !== undefined) {
    throw new UsageError(
      `there is no class ${unknown}: the model has classes 0 to ${classes - 1}.`,
    );
  }
  return seeds.map((seed) => list[seed % list.length]);
}
