/**
 * Decoding pictures, whatever file they came from.
 *
 * @module
 */

import { FormatError } from "../errors.ts";
import { decodeJpeg, isJpeg, loadJpegDecoder, probeJpeg } from "./jpeg.ts";
import type { Image, ImageShape } from "./pixels.ts";
import { decodePng, isPng, probePng } from "./png.ts";

export { type Image, type ImageShape, toRgb } from "./pixels.ts";

/** File names that the decoders are meant for. */
export const IMAGE_EXTENSIONS: readonly string[] = [".png", ".jpg", ".jpeg"];

/**
 * Decodes a PNG or a JPEG file; what it is is told from its bytes, not from its name.
 *
 * @param name what error messages call the file
 * @throws {FormatError} when it is neither, is damaged, or is of a kind that is not supported
 */
export async function decodeImage(bytes: Uint8Array, name: string): Promise<Image> {
  if (isJpeg(bytes)) await loadJpegDecoder();
  return decodeImageSync(bytes, name);
}

/** As {@link decodeImage}, at once; for JPEG, `loadJpegDecoder` must have been awaited before. */
export function decodeImageSync(bytes: Uint8Array, name: string): Image {
  if (isPng(bytes)) return decodePng(bytes, name);
  if (isJpeg(bytes)) return decodeJpeg(bytes, name);
  throw unknownImage(bytes, name);
}

/**
 * Size and channels, from the header alone.
 *
 * @param bytes at least the header: the first 64 KiB hold it unless a JPEG carries much metadata
 * @throws {FormatError} as {@link decodeImage}
 */
export function probeImage(bytes: Uint8Array, name: string): ImageShape {
  if (isPng(bytes)) return probePng(bytes, name);
  if (isJpeg(bytes)) return probeJpeg(bytes, name);
  throw unknownImage(bytes, name);
}

function unknownImage(bytes: Uint8Array, name: string): FormatError {
  const what = bytes.length === 0 ? "is empty" : "is neither a PNG nor a JPEG file";
  return new FormatError(`${name} ${what}; expected a picture in one of these formats.`);
}
