/**
 * What a person types for a data set: a name that is known, or a path.
 *
 * A bare known name always means that data set, whatever lies in the current folder, and
 * `dataset:digits` says so in a way that can be no path. A file or folder that is called so is
 * `./digits` or `digits/`. `#train`, `#val` and `#test` behind either ask for a part.
 *
 * @module
 */

import { FormatError } from "../base/errors.ts";
import { didYouMean } from "../base/suggest.ts";
import type { Dataset } from "./dataset.ts";
import { openDigits } from "./images/digits.ts";
import { exists, findKnown, KNOWN_DATASETS } from "./known.ts";
import { parseSplit, type Split } from "./folders/splits.ts";

/** Data sets that are part of the program. */
export const BUILT_IN: ReadonlyMap<string, () => Promise<Dataset>> = new Map([
  ["digits", openDigits],
]);

/** Says that what follows is a name. */
const PREFIX = "dataset:";

/** Names of all data sets that are known. */
export const DATASET_NAMES: readonly string[] = [...BUILT_IN.keys(), ...KNOWN_DATASETS];

/** What a person meant. */
export interface Located {
  /** A data set that is part of the program, by its name; else there is a path. */
  readonly builtIn: string | null;
  /** Where the files lie, which need not exist; empty where the data set is built in. */
  readonly path: string;
  /** The part that is asked for. */
  readonly split?: Split;
  /** What a person should know, in sentences. */
  readonly notes: readonly string[];
}

/** The name of the known data set that is meant, or null for a path. @throws as {@link locate} */
export function knownName(spec: string): string | null {
  const { base } = parseSplit(spec);
  if (!base.startsWith(PREFIX)) return DATASET_NAMES.includes(base) ? base : null;
  const name = base.slice(PREFIX.length);
  if (DATASET_NAMES.includes(name)) return name;
  throw new FormatError(
    `There is no data set of the name "${name}": expected ` +
      `${DATASET_NAMES.map((name) => PREFIX + name).join(", ")}${
        didYouMean(name, DATASET_NAMES) || "."
      }`,
  );
}

/**
 * Finds what is meant.
 *
 * @throws {FormatError} when a name is none that is known, or its files are nowhere
 */
export async function locate(spec: string): Promise<Located> {
  const { base, split } = parseSplit(spec);
  const name = knownName(spec);
  if (name === null) {
    const isPart = split && (await exists(base) || !await exists(spec));
    return {
      builtIn: null,
      path: isPart ? base : spec,
      split: isPart ? split : undefined,
      notes: [],
    };
  }
  const isBuiltIn = BUILT_IN.has(name);
  const path = isBuiltIn ? "" : await findKnown(name);
  const notes = !base.startsWith(PREFIX) && await exists(name)
    ? [
      `${name} is the data set ${isBuiltIn ? "that is part of this program" : path}, not what is ` +
      `called so here: that is ./${name} (and ${PREFIX}${name} is always the data set).`,
    ]
    : [];
  return { builtIn: isBuiltIn ? name : null, path, split, notes };
}

/** The file or folder that is read for a data set, which must not be overwritten; null for none. */
export async function pathRead(spec: string): Promise<string | null> {
  // What is wrong is said by whoever opens it.
  const { path } = await locate(spec).catch(() => ({ path: spec }));
  return path === "" ? null : path;
}
