/**
 * Arrays of numbers in row-major order: their sizes and strides, their bytes, and what is done with
 * them whatever the numbers mean.
 *
 * @module
 */

/** Sizes of the axes, outermost first. `[]` is a scalar. */
export type Shape = readonly number[];

/** Number of elements of a shape. */
export function sizeOf(shape: Shape): number {
  return shape.reduce((product, n) => product * n, 1);
}

/** Whether two shapes are equal. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((n, i) => n === b[i]);
}

/** Distance in elements between neighbours along each axis. */
export function contiguousStrides(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = step;
    step *= shape[axis];
  }
  return strides;
}

/** The bytes behind any typed array or view, without a copy. */
export function bytesOf(data: ArrayBufferView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** Arrays behind each other, in a new one of the type `Result`. */
export function joinArrays<T extends Uint8Array | Float32Array>(
  Result: new (length: number) => T,
  parts: readonly ArrayLike<number>[],
): T {
  const result = new Result(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}

/** Samples behind each other, each [C, H, W], as [H, W, C]. */
export function channelsLast(
  values: Float32Array,
  [height, width, channels]: Shape,
): Float32Array<ArrayBuffer> {
  const result = new Float32Array(values.length);
  const plane = height * width;
  const size = plane * channels;
  for (let sample = 0; sample < values.length; sample += size) {
    for (let c = 0; c < channels; c++) {
      for (let i = 0; i < plane; i++) {
        result[sample + i * channels + c] = values[sample + c * plane + i];
      }
    }
  }
  return result;
}
