/**
 * How a file is to be read as a data set: by its name, and where that says nothing, by its content.
 *
 * @module
 */

import { constants, gunzipSync } from "node:zlib";
import { isGzip } from "../formats/archive/inflate.ts";
import { openFileSource } from "../formats/source.ts";
import { isZip } from "../formats/archive/zip.ts";
import { isCifarBatch, isTarName } from "./images/cifar.ts";
import type { FileTree } from "./folders/file_tree.ts";
import { isPicture } from "./images/folder.ts";
import { isIdxName } from "./images/idx.ts";

/** Kinds of files. Of archives it is told by {@link holdsArrays} whether they are npz. */
export type DataFile = "tar" | "archive" | "cifar" | "npy" | "safetensors" | "idx";

const START_BYTES = 4096;

/** The kind that a name stands for; null where it stands for none. */
export function kindOfName(path: string): DataFile | null {
  const [ending] = /\.[^./\\]*$/.exec(path.toLowerCase()) ?? [""];
  if (isTarName(path)) return "tar";
  if (ending === ".npz" || ending === ".zip") return "archive";
  if (isCifarBatch(path)) return "cifar";
  if (ending === ".npy") return "npy";
  if (ending === ".safetensors") return "safetensors";
  return isIdxName(path) ? "idx" : null;
}

/** The kind that the beginning of a file shows; null where it shows none. */
export async function kindOfContent(path: string): Promise<DataFile | null> {
  using source = await openFileSource(path);
  const bytes = await source.read(0, Math.min(START_BYTES, source.size));
  const start = isGzip(bytes) ? beginningOfGzip(bytes) : bytes;
  const text = String.fromCharCode(...start.subarray(0, 512));
  if (text.slice(257, 262) === "ustar") return "tar";
  const [zeros, type, axes] = [start[0] | start[1], start[2], start[3]];
  if (zeros === 0 && type >= 8 && type <= 14 && axes >= 1 && axes <= 4) return "idx";
  // Also archives that unpack themselves: behind a program of Windows, or a script.
  if (isZip(start) || /^(MZ|#!)/.test(text)) return "archive";
  if (text.startsWith("\x93NUMPY")) return "npy";
  // The length of a header of JSON as a 64-bit number.
  return start[8] === 0x7B && start.subarray(4, 8).every((byte) => byte === 0)
    ? "safetensors"
    : null;
}

function beginningOfGzip(bytes: Uint8Array): Uint8Array {
  try {
    return gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH });
  } catch {
    return bytes; // whoever reads it says what is wrong
  }
}

/** Arrays of images or latents, as npz files have them. */
const ARRAYS = /^(arr_0|images|x_\w+|\w+_images|latents|moments)\.npy$/;

/** Whether an archive is npz: by the name of its file, or by that of an array in it. */
export function holdsArrays({ name, paths }: FileTree): boolean {
  return !paths.some(isPicture) &&
    (name.toLowerCase().endsWith(".npz") || paths.some((path) => ARRAYS.test(path)));
}
