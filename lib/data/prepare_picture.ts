/**
 * One picture of a data set that is being prepared, in whatever thread.
 *
 * @module
 */

import { decodeImage } from "../format/image.ts";
import type { Image } from "../format/pixels.ts";
import { encodePng } from "../format/png.ts";
import { type Fit, fitImage } from "./fit.ts";

/** A picture to prepare: the bytes of its file, or its pixels. */
export interface PrepareRequest {
  /** What error messages call it. */
  readonly name: string;
  readonly picture: Uint8Array<ArrayBuffer> | Image;
  readonly fit: Fit;
}

/** What became of it. */
export interface PreparedPicture {
  readonly png: Uint8Array<ArrayBuffer>;
  readonly width: number;
  readonly height: number;
}

/** Decodes, fits and encodes. @throws {FormatError} when the picture cannot be decoded */
export async function preparePicture(
  { name, picture, fit }: PrepareRequest,
): Promise<PreparedPicture> {
  const image = picture instanceof Uint8Array ? await decodeImage(picture, name) : picture;
  const { width, height, ...fitted } = fitImage(image, fit);
  return { png: encodePng({ width, height, ...fitted }), width, height };
}
