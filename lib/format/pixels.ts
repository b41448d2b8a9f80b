/**
 * Pictures as the rest of the program sees them.
 *
 * @module
 */

/** Size of a picture and its number of channels: 1 grey, 2 grey+alpha, 3 RGB, 4 RGBA. */
export interface ImageShape {
  /** Pixels in a row. */
  readonly width: number;
  /** Number of rows. */
  readonly height: number;
  /** Bytes per pixel. */
  readonly channels: number;
}

/** Pixels, 8 bits per channel, row by row, the channels of a pixel side by side (HWC). */
export interface Image extends ImageShape {
  /** height * width * channels bytes. */
  readonly data: Uint8Array;
}

/** The most pixels that a file may ask memory for: a 16,384 x 16,384 picture. */
export const MAX_PIXELS = 2 ** 28;

/** Three channels: grey is repeated, transparency is dropped, as by PIL's `convert("RGB")`. */
export function toRgb(image: Image): Image {
  const { width, height, channels, data } = image;
  if (channels === 3) return image;
  const rgb = new Uint8Array(width * height * 3);
  const colour = channels === 4 ? 1 : 0; // distance from one colour channel to the next
  for (let from = 0, to = 0; to < rgb.length; from += channels, to += 3) {
    rgb[to] = data[from];
    rgb[to + 1] = data[from + colour];
    rgb[to + 2] = data[from + 2 * colour];
  }
  return { width, height, channels: 3, data: rgb };
}

/** Grey stays grey and colors stay RGB; transparency is dropped, so that what lies behind is seen. */
export function dropAlpha(image: Image): Image {
  const { width, height, channels, data } = image;
  if (channels === 4) return toRgb(image);
  if (channels !== 2) return image;
  return { width, height, channels: 1, data: data.filter((_, i) => i % 2 === 0) };
}
