/**
 * Which class an image is asked to be. The answer depends on the image's seed alone, so that an
 * image is the same in any selection of seeds.
 *
 * @module
 */

import { UsageError } from "../base/errors.ts";
import { classKey } from "../random/keys.ts";
import { didYouMean } from "../base/suggest.ts";
import { threefry2x32 } from "../random/threefry.ts";
import { parseRanges } from "../base/units.ts";

/** A rule for the classes of a set of images. */
export type ClassChoice =
  /** Seed i gets class number i mod n of the list; `null` lists all classes in order. */
  | { readonly kind: "cycle"; readonly classes: readonly number[] | null }
  /** Every seed gets a class of its own, all being equally likely. */
  | { readonly kind: "random" }
  /** No image has a class. */
  | { readonly kind: "none" };

/**
 * Reads `all`, `random`, `none` or a list like `0-4,7` or `horse,cat`. `number:7` and `name:7` say
 * which is meant where classes are called like numbers, or like one of the words.
 *
 * @param name what it is for
 * @param names of the model's classes, where it has some
 * @throws {UsageError} for a name that no class has, and where number and name are of two classes
 */
export function parseClasses(
  text: string,
  name: string,
  names: readonly string[] | null = null,
): ClassChoice {
  switch (text) {
    case "all":
      return { kind: "cycle", classes: null };
    case "random":
    case "none":
      return { kind: text };
  }
  // A name may have a comma in it.
  const whole = names?.indexOf(text) ?? -1;
  const parts = whole >= 0 && text.includes(",") ? [`number:${whole}`] : text.split(",");
  const classes = parts.flatMap((part) => parseClass(part.trim(), name, names));
  return { kind: "cycle", classes };
}

/** The classes that a part of a list means: a number, a range of them, or a name. */
function parseClass(part: string, option: string, names: readonly string[] | null): number[] {
  const [, kind, rest] = /^(number|name):(.+)$/.exec(part) ?? [undefined, null, part];
  const isNumber = /^\d+(-\d+)?$/.test(rest);
  const byName = kind === "number" || names === null ? -1 : nameIndex(rest, names);
  const byNumber = kind !== "name" && isNumber ? parseRanges(rest, option) : null;
  if (kind === null && byNumber !== null && byName >= 0 && `${byNumber}` !== `${byName}`) {
    const [first] = byNumber;
    throw new UsageError(
      `${option} ${rest} is the number of the class "${
        names![first] ?? "that there is not"
      }" and ` +
        `the name of class ${byName}; write number:${rest} or name:${rest}.`,
    );
  }
  if (byNumber !== null) return byNumber;
  if (byName >= 0) return [byName];
  if (names === null) {
    throw new UsageError(
      `${option} expects all, random, none or a list of classes as in 0-4,7, but got "${part}"` +
        (/^\d/.test(part) ? "." : "; the model has no names of classes."),
    );
  }
  throw new UsageError(
    `${option}: there is no class "${rest}"${
      didYouMean(rest, names) || `; the model has ${listed(names)}.`
    }`,
  );
}

/** The class of a name, whose capitals do not matter where that leaves one; -1 for none. */
function nameIndex(text: string, names: readonly string[]): number {
  const exact = names.indexOf(text);
  if (exact >= 0) return exact;
  const same = names.flatMap((name, i) => name.toLowerCase() === text.toLowerCase() ? [i] : []);
  return same.length === 1 ? same[0] : -1;
}

/** The names of the first classes, for a message. */
function listed(names: readonly string[]): string {
  const shown = names.slice(0, 10).join(", ");
  return names.length > 10 ? `${shown} and ${names.length - 10} others` : shown;
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
