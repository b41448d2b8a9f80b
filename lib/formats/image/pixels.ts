/**
 * Pictures as the rest of the program sees them.
 *
 * @module
 */

import { FormatError } from "../../base/errors.ts";

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

/** What a header tells. */
export interface ProbedImage extends ImageShape {
  /** What is unusual about the file, seen from its header; left out where nothing is. */
  readonly oddities?: readonly string[];
}

/**
 * A picture out of a file. Its pixels are those that Pillow reads, however odd the file is; people
 * are told of what is odd.
 */
export interface DecodedImage extends Image {
  /** What is wrong with the file, seen while its pixels were decoded; left out where nothing is. */
  readonly oddities?: readonly string[];
}

/** A kind of picture files: a row of decode.ts. */
export interface ImageFormat {
  /** What messages call it. */
  readonly name: string;
  /** Endings of its files. */
  readonly extensions: readonly string[];
  /** Whether a file begins like one. */
  is(bytes: Uint8Array): boolean;
  /** What its header tells. */
  probe(bytes: Uint8Array, name: string): ProbedImage;
  /** Its pixels. */
  decode(bytes: Uint8Array, name: string): DecodedImage;
  /** Makes `decode` ready, where that takes time. */
  load?(): Promise<void>;
}

/** The most pixels that a file may ask memory for; Pillow's limit, twice that of its warning. */
export const MAX_PIXELS = 178_956_970;
const MANY_PIXELS = 89_478_485;

/**
 * Checks the size that a header tells before memory is taken for it.
 *
 * @returns the oddity that a very large picture is, as Pillow warns of it, or none
 * @throws {FormatError} when there are no pixels, or more than Pillow accepts
 */
export function checkSize(width: number, height: number, name: string): string[] {
  if (width < 1 || height < 1 || width * height > MAX_PIXELS) {
    throw new FormatError(
      `${name} is ${width} x ${height}; expected at least one and at most ${MAX_PIXELS} pixels, ` +
        `which is Pillow's limit, too.`,
    );
  }
  return width * height > MANY_PIXELS ? [`more than ${MANY_PIXELS} pixels`] : [];
}

/** Oddities that several kinds of files have; Pillow reads them in the same way. */
export const ODD = {
  cmyk: "CMYK colors, which become RGB as by Pillow, without a profile",
  deep: "16 bits per channel, of which the high ones are taken, as by Pillow",
  deepGrey:
    "grey of 16 bits, of which values over 255 become white, as by Pillow: most come out white",
  frames: "several frames, of which the first is taken",
} as const;

/** An object with the oddities of a picture, without the property where there are none. */
export function oddities(found: readonly string[]): { oddities?: readonly string[] } {
  return found.length > 0 ? { oddities: found } : {};
}

/** The oddity of a picture that says how it is to be turned; none of the tools of this field do. */
export function orientationOddity(orientation: number): string[] {
  return orientation > 1 && orientation <= 8
    ? ["an EXIF orientation, which is not applied (nor is it by PIL.Image.open or EDM's tool)"]
    : [];
}

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

/**
 * RGB of cyan, magenta, yellow and black, without a colour profile: Pillow's `convert("RGB")`.
 *
 * @param cmyk four bytes per pixel, 255 for all of an ink
 */
export function cmykToRgb(cmyk: Uint8Array): Uint8Array {
  const rgb = new Uint8Array(cmyk.length / 4 * 3);
  for (let from = 0, to = 0; to < rgb.length; from += 4, to += 3) {
    const light = 255 - cmyk[from + 3];
    for (let c = 0; c < 3; c++) {
      const product = cmyk[from + c] * light + 128;
      rgb[to + c] = light - ((product >> 8) + product >> 8);
    }
  }
  return rgb;
}
