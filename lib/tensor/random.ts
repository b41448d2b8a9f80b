/**
 * Counter-based random tensors: a function of key, stream and index, the same on every device and
 * for every batch size.
 *
 * The key is an i32 tensor [k0, k1, firstSample]. The element at index i along the first axis and
 * at row-major index j over the other axes has the words
 *
 *     (w0, w1) = threefry2x32(key: k0, k1 XOR stream * 0x9E3779B9; counter: j, firstSample + i)
 *
 * (20 rounds, arithmetic modulo 2^32; threefry.ts), and is
 *
 *     uniform: (w0 >>> 8) * 2^-24                                         in [0, 1)
 *     normal:  sqrt(-2 ln(((w0 >>> 8) + 1) * 2^-24)) * cos(2 pi (w1 >>> 8) * 2^-24)
 *
 * So sample i of a key is the same however the samples are cut into batches or shards.
 *
 * @module
 */

import { lessEqual, mul, where } from "./elementwise.ts";
import { requireShape, requireType, shapeError } from "./shape.ts";
import { make, type Shape, type Tensor } from "./tensor.ts";

/** Uniform numbers in [0, 1); `stream` separates independent uses of one key. */
export function randomUniform(key: Tensor, shape: Shape, stream: number): Tensor {
  return random("uniform", key, shape, stream);
}

/** Standard normal numbers; `stream` separates independent uses of one key. */
export function randomNormal(key: Tensor, shape: Shape, stream: number): Tensor {
  return random("normal", key, shape, stream);
}

/**
 * Zeroes each element with probability p and divides the others by 1 - p. The mask depends on key,
 * stream and shape alone: two calls with the same ones drop the same elements.
 */
export function dropout(x: Tensor, p: number, key: Tensor, stream: number): Tensor {
  if (!(p >= 0 && p < 1)) throw shapeError("dropout", "a probability in [0, 1)", `${p}`);
  if (p === 0) return x;
  const kept = lessEqual(p, randomUniform(key, x.shape, stream));
  return mul(x, where(kept, 1 / (1 - p), 0));
}

function random(
  distribution: "uniform" | "normal",
  key: Tensor,
  shape: Shape,
  stream: number,
): Tensor {
  requireShape("random", "key (k0, k1, firstSample)", key, [3]);
  requireType("random", "key", key, "i32");
  if (shape.length === 0) {
    throw shapeError("random", "a shape whose first axis counts samples", "[]");
  }
  if (!Number.isInteger(stream) || stream < 0) {
    throw shapeError("random", "a stream number from 0 on", `${stream}`);
  }
  return make({ kind: "random", distribution, stream }, [key], shape, null);
}
