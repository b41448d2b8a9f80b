/**
 * Images and weights in the layouts of other engines.
 *
 * @module
 */

/** Moves the axes of a row-major array: axis i of the result is axis `order[i]` of `values`. */
export function permute(
  values: Float32Array,
  shape: readonly number[],
  order: readonly number[],
): Float32Array<ArrayBuffer> {
  const strides = shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1));
  const sizes = order.map((axis) => shape[axis]);
  const steps = order.map((axis) => strides[axis]);
  const result = new Float32Array(values.length);
  const index = sizes.map(() => 0);
  for (let i = 0, from = 0; i < result.length; i++) {
    result[i] = values[from];
    for (let axis = sizes.length - 1; axis >= 0; axis--) {
      from += steps[axis];
      if (++index[axis] < sizes[axis]) break;
      from -= steps[axis] * sizes[axis];
      index[axis] = 0;
    }
  }
  return result;
}

/** [N, H, W, C] to [N, C, H, W]; the shape is the first one. */
export const toNchw = (values: Float32Array, shape: readonly number[]): Float32Array<ArrayBuffer> =>
  permute(values, shape, [0, 3, 1, 2]);

/** [N, C, H, W] to [N, H, W, C]; the shape is the first one. */
export const toNhwc = (values: Float32Array, shape: readonly number[]): Float32Array<ArrayBuffer> =>
  permute(values, shape, [0, 2, 3, 1]);

/** [kh, kw, I, O] to [O, I, kh, kw]; the shape is the first one. */
export const toOihw = (values: Float32Array, shape: readonly number[]): Float32Array<ArrayBuffer> =>
  permute(values, shape, [3, 2, 0, 1]);

/** [O, I, kh, kw] to [kh, kw, I, O]; the shape is the first one. */
export const toHwio = (values: Float32Array, shape: readonly number[]): Float32Array<ArrayBuffer> =>
  permute(values, shape, [2, 3, 1, 0]);
