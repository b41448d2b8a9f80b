/**
 * Points in the plane in place of pictures: a distribution that is known exactly, and a network that
 * trains in seconds.
 *
 * @module
 */

import { deriveKey, normalFromBits, threefry2x32, uniformFromBits } from "../random/threefry.ts";
import type { BatchSource } from "../objectives/objective.ts";

/** Modes of the ring. */
const MODES = 8;
/** Distance of the modes from the middle, and their width: each coordinate has a deviation of 0.5. */
const [RADIUS, WIDTH] = [0.7, 0.05];

/** An endless stream of points from eight Gaussians on a ring; point n depends on (seed, n) alone. */
export class EightGaussians implements BatchSource {
  /** Coordinates of a point. */
  static readonly dimensions = 2;

  /** The stream of a seed. */
  constructor(private readonly seed: number) {}

  /** Points `position` to `position + count - 1`, [count, 2]; no labels. */
  batch(position: number, count: number): { images: Float32Array; labels: Int32Array } {
    const [k0, k1] = deriveKey(this.seed, "points");
    const images = new Float32Array(2 * count);
    for (let i = 0; i < count; i++) {
      const n = position + i;
      const words = (draw: number) =>
        threefry2x32(k0, k1, n % 2 ** 32, draw + 4 * Math.floor(n / 2 ** 32));
      const [mode] = words(0);
      const angle = Math.floor(MODES * uniformFromBits(mode)) * (2 * Math.PI / MODES);
      images[2 * i] = RADIUS * Math.cos(angle) + WIDTH * normalFromBits(...words(1));
      images[2 * i + 1] = RADIUS * Math.sin(angle) + WIDTH * normalFromBits(...words(2));
    }
    return { images, labels: new Int32Array(count) };
  }
}
