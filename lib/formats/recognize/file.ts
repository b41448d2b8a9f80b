/**
 * What a file is, for a sentence about one that was not expected; see recognize.ts.
 *
 * @module
 */

import { ImmError } from "../../base/errors.ts";
import { type Recognized, recognizeStart, START_BYTES } from "./bytes.ts";
import { openFileSource } from "../source.ts";
import { isZip, openZip } from "../archive/zip.ts";

/**
 * What the file at a path is; null where it does not show.
 *
 * @throws {FormatError} when it cannot be opened, or is no file but something in its place
 */
export async function recognizeFile(path: string): Promise<Recognized | null> {
  let start: Uint8Array;
  let size: number;
  {
    using source = await openFileSource(path);
    size = source.size;
    start = await source.read(0, Math.min(START_BYTES, size));
  }
  const plain = recognizeStart(start, size, path);
  if (!isZip(start)) return plain;
  try {
    using archive = await openZip(path);
    return recognizeMembers([...archive.members.keys()]) ?? plain;
  } catch (error) {
    if (!(error instanceof ImmError)) throw error;
    return { what: "a damaged zip archive", advice: "get it again" };
  }
}

/** What a zip archive with such members is; null for any. */
export function recognizeMembers(names: readonly string[]): Recognized | null {
  const has = (pattern: RegExp) => names.some((name) => pattern.test(name));
  if (has(/\/data\.pkl$/)) return { what: "a checkpoint of PyTorch", advice: "" };
  if (has(/^model\.weights\.h5$/)) {
    return { what: "a model of Keras", advice: "save its arrays as npz" };
  }
  if (has(/\.(?:png|jpe?g|webp)$/i)) return { what: "a zip archive of pictures", advice: "" };
  if (has(/\.npy$/)) return { what: "an archive of numpy's arrays (.npz)", advice: "" };
  return null;
}
