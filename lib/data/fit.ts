/**
 * Making pictures alike: colours, crop and size, as the data set tools of EDM and ADM do it.
 *
 * @module
 */

import { UsageError } from "../base/errors.ts";
import { type Image, toRgb } from "../formats/image/pixels.ts";
import { type ResizeFilter, resizeImage } from "../formats/image/resize.ts";

/**
 * How a picture becomes a square:
 * - `none`: it is not cut; resizing distorts what is not a square;
 * - `center`: the largest square in its middle (EDM's `center-crop`);
 * - `adm`: halved by boxes while its shorter side has twice the size, then resized so that this
 *   side fits, then cut (EDM's `center-crop-dhariwal`; used for ImageNet by ADM, EDM and DiT).
 */
export type Crop = "none" | "center" | "adm";

/** Names of the crops. */
export const CROPS: readonly Crop[] = ["none", "center", "adm"];

/** What is done to every picture. */
export interface Fit {
  /** 1: grey, by the luma that Pillow takes; 3: RGB. */
  readonly channels: 1 | 3;
  /** Height and width of the result; null leaves the size alone. */
  readonly resolution: number | null;
  /** How it becomes a square. */
  readonly crop: Crop;
  /** Null: `lanczos`, and `bicubic` for the crop `adm`, as in the public tools. */
  readonly filter: ResizeFilter | null;
}

/** Applies {@link Fit}. @throws {UsageError} when the crop `adm` has no resolution to work for */
export function fitImage(image: Image, { channels, resolution, crop, filter }: Fit): Image {
  const coloured = channels === 3 ? toRgb(image) : toGrey(image);
  if (crop === "adm") {
    if (resolution === null) throw new UsageError("the crop adm needs a resolution");
    return cropAdm(coloured, resolution, filter ?? "bicubic");
  }
  const cut = crop === "center" ? cropCenter(coloured) : coloured;
  return resolution === null ? cut : resizeImage(cut, resolution, resolution, filter ?? "lanczos");
}

/** One channel: ITU-R 601-2 luma in Pillow's fixed point; transparency is dropped. */
function toGrey(image: Image): Image {
  if (image.channels === 1) return image;
  const { width, height, channels, data } = image;
  const grey = new Uint8Array(width * height);
  for (let i = 0; i < grey.length; i++) {
    const at = i * channels;
    grey[i] = channels === 2
      ? data[at]
      : (data[at] * 19595 + data[at + 1] * 38470 + data[at + 2] * 7471 + 0x8000) >> 16;
  }
  return { width, height, channels: 1, data: grey };
}

function cropCenter(image: Image): Image {
  const size = Math.min(image.width, image.height);
  const left = Math.floor((image.width - size) / 2);
  const top = Math.floor((image.height - size) / 2);
  return cut(image, left, top, size);
}

function cropAdm(image: Image, size: number, filter: ResizeFilter): Image {
  let result = image;
  while (Math.min(result.width, result.height) >= 2 * size) {
    const [width, height] = [Math.floor(result.width / 2), Math.floor(result.height / 2)];
    result = resizeImage(result, width, height, "box");
  }
  const scale = size / Math.min(result.width, result.height);
  const [width, height] = [
    roundHalfEven(result.width * scale),
    roundHalfEven(result.height * scale),
  ];
  result = resizeImage(result, width, height, filter);
  return cut(result, Math.floor((width - size) / 2), Math.floor((height - size) / 2), size);
}

/** As Python's `round`. */
function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

function cut({ width, channels, data }: Image, left: number, top: number, size: number): Image {
  const row = size * channels;
  const square = new Uint8Array(size * row);
  for (let y = 0; y < size; y++) {
    const from = ((top + y) * width + left) * channels;
    square.set(data.subarray(from, from + row), y * row);
  }
  return { width: size, height: size, channels, data: square };
}
