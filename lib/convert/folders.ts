/**
 * Folders that hold models of other programs: which file of them to read, or what they are when none
 * can be read.
 *
 * @module
 */

import { join } from "jsr:@std/path@1.0.8";
import { FormatError } from "../base/errors.ts";
import { recognizeFolder } from "../formats/recognize/folder.ts";

/** Files that may hold weights. */
const WEIGHTS = /\.(?:pt|pth|pkl|ckpt|bin|safetensors|npz)$|\.pth\.tar$/i;
/** The list of the parts of a model. */
export const INDEX = /\.(?:safetensors|bin)\.index\.json$/;

/**
 * The file of weights in a folder: the list of its parts, or the only file that may hold some.
 *
 * @throws {FormatError} when there is none, or it is not clear which: what the folder is, and what to do
 */
export async function findWeightsFile(folder: string): Promise<string> {
  const names: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    names.push(isDirectory ? `${name}/` : name);
  }
  names.sort();
  const kind = await recognizeFolder(folder, names);
  if (kind !== null) throw new FormatError(`${folder} is ${kind}.`);
  const lists = names.filter((name) => INDEX.test(name));
  if (lists.length === 1) return join(folder, lists[0]);
  const files = names.filter((name) => WEIGHTS.test(name));
  if (files.length === 1) return join(folder, files[0]);
  throw new FormatError(
    files.length === 0
      ? `${folder} holds no file of weights, and is no run of imm train that has written a ` +
        `checkpoint; expected a file, or a folder with model.safetensors.`
      : `${folder} holds ${files.length} files that may be meant: ${listed(files)}; give one of ` +
        `them.`,
  );
}

function listed(names: readonly string[]): string {
  return names.slice(0, 4).join(", ") + (names.length > 4 ? ` and ${names.length - 4} more` : "");
}
