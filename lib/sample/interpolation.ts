/**
 * Images between images: the latents of two seeds, and points on the arc between them.
 *
 * @module
 */

import { latents } from "../objectives/sampler.ts";
import { type Shape, sizeOf } from "../tensor/tensor.ts";

/** Two seeds. */
export type SeedPair = readonly [from: number, to: number];

/**
 * `frames` latents [pairs * frames, ...shape] from each first seed to each second one, both ends
 * included: the images of the seeds themselves. Along the arc, not the chord, since latents of a
 * high dimension all have about the same length and the network knows no shorter ones.
 */
export function interpolatedLatents(
  pairs: readonly SeedPair[],
  frames: number,
  shape: Shape,
  sigmaData: number,
): Float32Array {
  const size = sizeOf(shape);
  const all = new Float32Array(pairs.length * frames * size);
  pairs.forEach(([from, to], pair) => {
    const [a, b] = [latents([from], size, sigmaData), latents([to], size, sigmaData)];
    const angle = angleBetween(a, b);
    for (let frame = 0; frame < frames; frame++) {
      const u = frames === 1 ? 0 : frame / (frames - 1);
      const [p, q] = arcWeights(angle, u);
      const at = (pair * frames + frame) * size;
      for (let i = 0; i < size; i++) all[at + i] = p * a[i] + q * b[i];
    }
  });
  return all;
}

/** Factors of both ends at the part `u` of the arc; of the chord where there is no arc. */
function arcWeights(angle: number, u: number): [number, number] {
  if (u === 0) return [1, 0];
  if (u === 1) return [0, 1];
  const sine = Math.sin(angle);
  if (sine < 1e-6) return [1 - u, u];
  return [Math.sin((1 - u) * angle) / sine, Math.sin(u * angle) / sine];
}

function angleBetween(a: Float32Array, b: Float32Array): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    dot += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  return Math.acos(Math.min(1, Math.max(-1, dot / Math.sqrt(aa * bb))));
}
