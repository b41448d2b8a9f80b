/**
 * Parts of a data set: images for training, for validation, for testing. `DATA#test` asks for one;
 * without it those for training are meant.
 *
 * @module
 */

/** A part of a data set that is divided. */
export type Split = "train" | "val" | "test";

/** How folders of the parts are called. */
const FOLDERS: Readonly<Record<Split, readonly string[]>> = {
  train: ["train", "training"],
  val: ["val", "valid", "validation", "dev"],
  test: ["test", "testing"],
};

/** `photos#val` is the part `val` of `photos`. */
export function parseSplit(spec: string): { readonly base: string; readonly split?: Split } {
  const match = /^(.+)#(train|val|test)$/.exec(spec);
  return match ? { base: match[1], split: match[2] as Split } : { base: spec };
}

/** The part that a folder of this name holds, or null. */
export function splitOfFolder(name: string): Split | null {
  const lower = name.toLowerCase();
  const found = Object.entries(FOLDERS).find(([, names]) => names.includes(lower));
  return found ? found[0] as Split : null;
}
