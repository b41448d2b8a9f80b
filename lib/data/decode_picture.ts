/**
 * One picture of a folder or an archive, in whatever thread.
 *
 * @module
 */

import { FormatError } from "../errors.ts";
import { decodeImageSync } from "../format/image.ts";
import { type ImageShape, toRgb } from "../format/pixels.ts";
import type { FilePlace } from "./file_tree.ts";

/** What the pictures of a data set are to be. */
export interface PictureFormat {
  /** Size and channels. */
  readonly shape: ImageShape;
  /** Whether they are turned into RGB. */
  readonly rgb: boolean;
}

/** A picture on the disk. */
export interface PicturePlace {
  /** What messages call it. */
  readonly name: string;
  /** Where it lies. */
  readonly place: FilePlace;
}

/**
 * Decodes a picture whose header was checked when the data set was opened. For JPEG,
 * `loadJpegDecoder` must have been awaited before.
 *
 * @param bytes of its file
 * @throws {FormatError} when it is damaged, or has become another one
 */
export function decodePicture(
  bytes: Uint8Array,
  name: string,
  { shape, rgb }: PictureFormat,
): Uint8Array {
  const decoded = decodeImageSync(bytes, name);
  const image = rgb ? toRgb(decoded) : decoded;
  const { width, height, channels } = shape;
  if (image.height !== height || image.width !== width || image.channels !== channels) {
    throw new FormatError(`${name} changed since the data set was opened; open it again.`);
  }
  return image.data;
}
