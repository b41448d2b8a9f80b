/**
 * Augmentation of a stream of images.
 *
 * @module
 */

import { AUGMENT_LABELS, type AugmentConfig, augmentKey, drawTransform } from "./transforms.ts";
import { warp } from "./warp.ts";

/** Changed images, and what the network is told about the changes. */
export interface Augmented {
  /** [count, height, width, channels] */
  readonly images: Float32Array<ArrayBuffer>;
  /** [count, {@link AUGMENT_LABELS}] */
  readonly labels: Float32Array<ArrayBuffer>;
}

/**
 * Changes images `position` to `position + count - 1` of the stream of a seed; what happens to image
 * n depends on (seed, n) alone. Images that are not moved keep their values.
 *
 * @param images [count, height, width, channels]; not changed
 */
export function augment(
  config: AugmentConfig,
  seed: number,
  images: Float32Array,
  shape: readonly [height: number, width: number, channels: number],
  position: number,
): Augmented {
  const [height, width, channels] = shape;
  const size = height * width * channels;
  const count = images.length / size;
  const result = new Float32Array(images);
  const labels = new Float32Array(count * AUGMENT_LABELS);
  const key = augmentKey(seed);
  for (let i = 0; i < count; i++) {
    const transform = drawTransform(config, key, position + i, [height, width]);
    labels.set(transform.labels, i * AUGMENT_LABELS);
    const image = result.subarray(i * size, (i + 1) * size);
    if (transform.xflip) mirror(image, width, channels);
    if (transform.yflip) image.set(upsideDown(image, width * channels));
    if (transform.inverse) image.set(warp(image, shape, transform.inverse));
  }
  return { images: result, labels };
}

/** Mirrors an image left to right, in place. */
function mirror(image: Float32Array, width: number, channels: number): void {
  const rowLength = width * channels;
  for (let row = 0; row < image.length; row += rowLength) {
    for (let x = 0; x < width >> 1; x++) {
      for (let c = 0; c < channels; c++) {
        const [a, b] = [row + x * channels + c, row + (width - 1 - x) * channels + c];
        [image[a], image[b]] = [image[b], image[a]];
      }
    }
  }
}

function upsideDown(image: Float32Array, rowLength: number): Float32Array {
  const result = new Float32Array(image.length);
  for (let row = 0; row < image.length; row += rowLength) {
    result.set(image.subarray(row, row + rowLength), image.length - rowLength - row);
  }
  return result;
}
