/**
 * Classifier-free guidance.
 *
 * @module
 */

/**
 * Classifier-free guidance F_w = F_u + w (F_c - F_u) of the raw network outputs, before c_out
 * is applied: w = 1 is the conditional network alone, w = 0 the unconditional one.
 */
export function guide(
  unconditional: ArrayLike<number>,
  conditional: ArrayLike<number>,
  w: number,
): Float32Array {
  return Float32Array.from(
    { length: conditional.length },
    (_, i) => unconditional[i] + w * (conditional[i] - unconditional[i]),
  );
}
