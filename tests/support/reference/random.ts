/** Random numbers of the reference interpreter; the bits come from the tested host generator. */

import { threefry2x32, type Words } from "../../../lib/random/threefry.ts";
import { type Shape, sizeOf } from "../../../lib/tensor/tensor.ts";

/** The pair of words of every element of `shape` for key (k0, k1, firstSample). */
export function hostWords(key: ArrayLike<number>, shape: Shape, stream: number): Words[] {
  const perSample = sizeOf(shape.slice(1));
  const streamKey = key[1] ^ Math.imul(stream, 0x9E3779B9);
  return Array.from(
    { length: sizeOf(shape) },
    (_, i) => threefry2x32(key[0], streamKey, i % perSample, key[2] + Math.floor(i / perSample)),
  );
}

/** In [0, 1). */
export function uniform(w0: number): number {
  return Math.floor(w0 / 256) / 2 ** 24;
}

/** Standard normal, by Box and Muller. */
export function normal(w0: number, w1: number): number {
  const [u, v] = [(Math.floor(w0 / 256) + 1) / 2 ** 24, Math.floor(w1 / 256) / 2 ** 24];
  return Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * v);
}
