/**
 * One picture of a data set that is being prepared, in whatever thread.
 *
 * @module
 */

import { decodeImage, probeImage } from "../../formats/image/decode.ts";
import type { Image } from "../../formats/image/pixels.ts";
import { encodePng } from "../../formats/image/png.ts";
import { type Fit, fitImage } from "../fit.ts";

/** A picture to prepare: the bytes of its file, or its pixels. */
export interface PrepareRequest {
  /** What error messages call it. */
  readonly name: string;
  readonly picture: Uint8Array<ArrayBuffer> | Image;
  readonly fit: Fit;
  /** Whether it becomes a PNG file; else its pixels are wanted. */
  readonly png: boolean;
}

/** What became of it. */
export interface PreparedPicture {
  /** A PNG file, or pixels. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly width: number;
  readonly height: number;
  /** What is odd about its file; see oddities.ts. */
  readonly oddities: readonly string[];
  /** Whether it had an alpha channel, which was dropped. */
  readonly hadAlpha: boolean;
}

/** Decodes, fits and perhaps encodes. @throws {FormatError} when the picture cannot be decoded */
export async function preparePicture(
  { name, picture, fit, png }: PrepareRequest,
): Promise<PreparedPicture> {
  const isFile = picture instanceof Uint8Array;
  const decoded = isFile ? await decodeImage(picture, name) : null;
  const oddities = isFile
    ? [...probeImage(picture, name).oddities ?? [], ...decoded!.oddities ?? []]
    : [];
  const image = decoded ?? picture as Image;
  const fitted = fitImage(image, fit);
  const { width, height, data } = fitted;
  return {
    bytes: png ? encodePng(fitted) : new Uint8Array(data),
    width,
    height,
    oddities,
    hadAlpha: image.channels % 2 === 0,
  };
}
