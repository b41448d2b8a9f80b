/**
 * One picture of a folder or an archive, in whatever thread.
 *
 * @module
 */

import { FormatError } from "../../base/errors.ts";
import { decodeImageSync } from "../../formats/image/decode.ts";
import { dropAlpha, type ImageShape, toRgb } from "../../formats/image/pixels.ts";
import type { FilePlace } from "../folders/file_tree.ts";

/** What the pictures of a data set are to be. */
export interface PictureFormat {
  /** Size, and channels: 1 grey, or 3 RGB, which they are turned into. */
  readonly shape: ImageShape;
}

/** A picture on the disk. */
export interface PicturePlace {
  /** What messages call it. */
  readonly name: string;
  /** Where it lies. */
  readonly place: FilePlace;
}

/**
 * Decodes a picture whose header was checked when the data set was opened;
 * `loadDecoder` must have been awaited for it.
 *
 * @param bytes of its file
 * @returns also what is wrong with the file although it was read
 * @throws {FormatError} when it is damaged, or has become another one
 */
export function decodePicture(
  bytes: Uint8Array,
  name: string,
  { shape }: PictureFormat,
): { pixels: Uint8Array; oddities: readonly string[] } {
  const decoded = decodeImageSync(bytes, name);
  const { width, height, channels } = shape;
  const image = channels === 3 ? toRgb(decoded) : dropAlpha(decoded);
  if (image.height !== height || image.width !== width || image.channels !== channels) {
    throw new FormatError(`${name} changed since the data set was opened; open it again.`);
  }
  return { pixels: image.data, oddities: decoded.oddities ?? [] };
}
