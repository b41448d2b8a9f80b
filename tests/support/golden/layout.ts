/** Between PyTorch's layouts, in which expected values are stored, and those of the device. */

/** How an array of a fixture is laid out: images, convolution weights, or nothing special. */
export type Layout = "nchw" | "oihw" | "same";

/** Axis i of the device's array is axis AXES[i] of PyTorch's. */
const AXES = { nchw: [0, 2, 3, 1], oihw: [2, 3, 1, 0] } as const;

/** Elements of a row-major array with axis i taken from axis `axes[i]`. */
export function permuteArray<T extends Float32Array | Float64Array | Int32Array>(
  data: T,
  shape: readonly number[],
  axes: readonly number[],
): T {
  const strides = shape.map((_, i) => shape.slice(i + 1).reduce((p, n) => p * n, 1));
  const result = data.slice() as T;
  const size = axes.map((axis) => shape[axis]);
  const step = axes.map((axis) => strides[axis]);
  for (let i = 0; i < result.length; i++) {
    let [rest, from] = [i, 0];
    for (let axis = size.length - 1; axis >= 0; axis--) {
      from += (rest % size[axis]) * step[axis];
      rest = Math.floor(rest / size[axis]);
    }
    result[i] = data[from];
  }
  return result;
}

/** An array in PyTorch's layout as the device stores it: NHWC images, [kh,kw,I,O] weights. */
export function toDeviceLayout<T extends Float32Array | Float64Array | Int32Array>(
  { shape, data }: { readonly shape: readonly number[]; readonly data: T },
  layout: Layout,
): { shape: readonly number[]; data: T } {
  if (layout === "same") return { shape, data };
  const axes = AXES[layout];
  return { shape: axes.map((axis) => shape[axis]), data: permuteArray(data, shape, axes) };
}
