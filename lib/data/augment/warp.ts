/**
 * Resampling of images under affine maps, without the loss of sharpness that interpolation between
 * pixels has: as in Karras et al. 2020 ("Training Generative Adversarial Networks with Limited
 * Data", appendix B) the image is doubled with an orthogonal wavelet's filter, sampled there
 * bilinearly, and halved with the same filter, which alone would give back the image.
 *
 * @module
 */

import type { Affine } from "./transforms.ts";

/** Low-pass filter of the wavelet sym6 (Daubechies 1992); its squares add up to 1. */
// deno-fmt-ignore
export const SYM6: readonly number[] = [
  0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633,
  0.4910559419267466, 0.787641141030194, 0.3379294217276218, -0.07263752278646252,
  -0.021060292512300564, 0.04472490177066578, 0.0017677118642428036, -0.007800708325034148,
];

/** The same for the loops below, which are most of the work. */
const TAPS = Float64Array.from(SYM6);

/** Pixels beyond each border that the halving needs. */
const BORDER = SYM6.length / 4;

/** A channel of an image. */
interface Plane {
  readonly width: number;
  readonly height: number;
  readonly data: Float64Array;
}

/**
 * The image whose pixel at p shows what the old image shows at inverse(p), p in pixels from the
 * middle. Beyond its borders the old image goes on as its mirror image, as far as once its size.
 *
 * @param image [height, width, channels]
 */
export function warp(
  image: Float32Array,
  [height, width, channels]: readonly [height: number, width: number, channels: number],
  inverse: Affine,
): Float32Array {
  const result = new Float32Array(image.length);
  const margins = marginsOf(inverse, width, height);
  for (let channel = 0; channel < channels; channel++) {
    const padded = reflect(image, { width, height, channels, channel }, margins);
    const fine = sampleAffine(doubled(padded), inverse, margins, {
      width: 2 * (width + 2 * BORDER),
      height: 2 * (height + 2 * BORDER),
    });
    const coarse = halved(fine);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        result[(y * width + x) * channels + channel] =
          coarse.data[(y + BORDER) * coarse.width + x + BORDER];
      }
    }
  }
  return result;
}

/** Pixels to add on each side. */
interface Margins {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** How far beyond the old image the corners of the new one lie, and no further than its mirror. */
function marginsOf([a, b, c, d, e, f]: Affine, width: number, height: number): Margins {
  const [cx, cy] = [(width - 1) / 2, (height - 1) / 2];
  const corners = [[-cx, -cy], [cx, -cy], [cx, cy], [-cx, cy]];
  const xs = corners.map(([x, y]) => a * x + b * y + c);
  const ys = corners.map(([x, y]) => d * x + e * y + f);
  const margin = (reach: number, centre: number, size: number) =>
    Math.ceil(Math.min(Math.max(reach + 2 * BORDER - centre, 0), size - 1));
  return {
    left: margin(-Math.min(...xs), cx, width),
    top: margin(-Math.min(...ys), cy, height),
    right: margin(Math.max(...xs), cx, width),
    bottom: margin(Math.max(...ys), cy, height),
  };
}

/** One channel with its mirror image around it; the border pixels are not repeated. */
function reflect(
  image: Float32Array,
  { width, height, channels, channel }: {
    width: number;
    height: number;
    channels: number;
    channel: number;
  },
  { left, top, right, bottom }: Margins,
): Plane {
  const plane = planeOf(width + left + right, height + top + bottom);
  const inside = (i: number, size: number) => i < 0 ? -i : i >= size ? 2 * size - 2 - i : i;
  for (let y = 0; y < plane.height; y++) {
    const row = inside(y - top, height) * width;
    for (let x = 0; x < plane.width; x++) {
      const column = inside(x - left, width);
      plane.data[y * plane.width + x] = image[(row + column) * channels + channel];
    }
  }
  return plane;
}

function planeOf(width: number, height: number): Plane {
  return { width, height, data: new Float64Array(width * height) };
}

/** Twice the size: zeros in between, then the filter. Pixel i lies at 2 i + 1/2. */
function doubled(plane: Plane): Plane {
  return doubledRows(transposed(doubledRows(transposed(plane))));
}

function doubledRows({ width, height, data }: Plane): Plane {
  const out = planeOf(2 * width, height);
  const taps = TAPS.length;
  for (let y = 0; y < height; y++) {
    const row = y * width;
    for (let o = 0; o < out.width; o++) {
      let sum = 0;
      // Only every second place is not zero: pixel i is at 2 i.
      const first = o - taps / 2;
      const start = Math.max(first & 1, -first);
      const end = Math.min(taps, 2 * width - first);
      for (let k = start; k < end; k += 2) {
        sum += TAPS[taps - 1 - k] * data[row + ((first + k) >> 1)];
      }
      out.data[y * out.width + o] = sum;
    }
  }
  return out;
}

/** Half of the size: the filter, then every second pixel. */
function halved(plane: Plane): Plane {
  return halvedRows(transposed(halvedRows(transposed(plane))));
}

function halvedRows({ width, height, data }: Plane): Plane {
  const out = planeOf(width / 2, height);
  const taps = TAPS.length;
  for (let y = 0; y < height; y++) {
    const row = y * width;
    for (let o = 0; o < out.width; o++) {
      let sum = 0;
      const first = 2 * o - (taps / 2 - 1);
      const end = Math.min(taps, width - first);
      for (let k = Math.max(0, -first); k < end; k++) sum += TAPS[k] * data[row + first + k];
      out.data[y * out.width + o] = sum;
    }
  }
  return out;
}

function transposed({ width, height, data }: Plane): Plane {
  const out = planeOf(height, width);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) out.data[x * height + y] = data[y * width + x];
  }
  return out;
}

/** Samples a doubled plane bilinearly; beyond it there is 0. */
function sampleAffine(
  plane: Plane,
  [a, b, c, d, e, f]: Affine,
  { left, top, right, bottom }: Margins,
  size: { readonly width: number; readonly height: number },
): Plane {
  const out = planeOf(size.width, size.height);
  // In pixels of the doubled plane from its middle; its samples lie half a pixel off.
  const [shiftX, shiftY] = [2 * c + (left - right), 2 * f + (top - bottom)];
  for (let row = 0; row < out.height; row++) {
    const y = row + 1 - out.height / 2;
    for (let column = 0; column < out.width; column++) {
      const x = column + 1 - out.width / 2;
      const fromX = a * x + b * y + shiftX - 1 + plane.width / 2;
      const fromY = d * x + e * y + shiftY - 1 + plane.height / 2;
      out.data[row * out.width + column] = bilinear(plane, fromX, fromY);
    }
  }
  return out;
}

function bilinear(plane: Plane, x: number, y: number): number {
  const x0 = Math.floor(x);
  const y0 = Math.floor(y);
  const fx = x - x0;
  const fy = y - y0;
  return (1 - fy) * ((1 - fx) * pixel(plane, x0, y0) + fx * pixel(plane, x0 + 1, y0)) +
    fy * ((1 - fx) * pixel(plane, x0, y0 + 1) + fx * pixel(plane, x0 + 1, y0 + 1));
}

function pixel({ width, height, data }: Plane, column: number, row: number): number {
  return column >= 0 && column < width && row >= 0 && row < height ? data[row * width + column] : 0;
}
