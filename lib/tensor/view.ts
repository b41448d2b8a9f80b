/**
 * Operations that move elements without computing: permute, slice, split, concat and pad (reshape
 * and expand are in broadcast.ts). The compiler turns most of them into strides of the kernels that
 * read them.
 *
 * An operation that would change nothing returns its input. Nothing else is simplified here:
 * skipping an intermediate tensor (a reshape of a reshape, say) would cut it out of the graph, and
 * with it the gradient with respect to it.
 *
 * @module
 */

import { reshape } from "./broadcast.ts";
import { zeros } from "./fill.ts";
import { normalizeAxis, requireRank, requireType, shapeError, show } from "./shape.ts";
import { make, Node, sameShape, type Shape, type Tensor } from "./tensor.ts";

/** Reorders the axes: axis i of the result is axis `axes[i]` of x. Negative axes count backwards. */
export function permute(x: Tensor, axes: readonly number[]): Tensor {
  const rank = x.shape.length;
  const order = axes.map((axis) => normalizeAxis("permute", axis, rank));
  if (order.length !== rank || new Set(order).size !== rank) {
    throw shapeError("permute", `each of ${rank} axes once`, `[${axes}] for ${show(x.shape)}`);
  }
  if (order.every((axis, i) => axis === i)) return x;
  const inverse = order.map((_, i) => order.indexOf(i));
  const shape = order.map((axis) => x.shape[axis]);
  return make(
    { kind: "permute", axes: order },
    [x],
    shape,
    (g) => [permute(g, inverse)],
    x.dtype,
  );
}

/** Exchanges the last two axes. */
export function transpose(x: Tensor): Tensor {
  const rank = x.shape.length;
  if (rank < 2) throw shapeError("transpose", "a tensor of rank 2 or more", show(x.shape));
  const axes = x.shape.map((_, i) => i);
  [axes[rank - 2], axes[rank - 1]] = [rank - 1, rank - 2];
  return permute(x, axes);
}

/** The box of `sizes` elements that begins at `starts`. */
export function slice(x: Tensor, starts: readonly number[], sizes: Shape): Tensor {
  const rank = x.shape.length;
  const inside = starts.length === rank && sizes.length === rank &&
    starts.every((s, i) => Number.isInteger(s) && s >= 0 && s + sizes[i] <= x.shape[i]);
  if (!inside) {
    throw shapeError("slice", `a box inside ${show(x.shape)}`, `${show(sizes)} at ${show(starts)}`);
  }
  if (sameShape(sizes, x.shape)) return x;
  return make({ kind: "slice", starts }, [x], sizes, (g) => [pad(g, starts, x.shape)], x.dtype);
}

/** `size` elements of one axis, beginning at `start`. */
export function narrow(x: Tensor, axis: number, start: number, size: number): Tensor {
  const at = normalizeAxis("narrow", axis, x.shape.length);
  const starts = x.shape.map((_, i) => i === at ? start : 0);
  return slice(x, starts, x.shape.map((n, i) => i === at ? size : n));
}

/** Zeros of `shape` with x in them at `starts`. */
export function pad(x: Tensor, starts: readonly number[], shape: Shape): Tensor {
  const rank = x.shape.length;
  const fits = starts.length === rank && shape.length === rank &&
    starts.every((s, i) => Number.isInteger(s) && s >= 0 && s + x.shape[i] <= shape[i]);
  if (!fits) {
    throw shapeError("pad", `a shape that holds ${show(x.shape)} at ${show(starts)}`, show(shape));
  }
  if (sameShape(shape, x.shape)) return x;
  return make({ kind: "pad", starts }, [x], shape, (g) => [slice(g, starts, x.shape)], x.dtype);
}

/** Cuts `axis` into parts of the given sizes, which must add up to it. */
export function split(x: Tensor, axis: number, sizes: readonly number[]): Tensor[] {
  const at = normalizeAxis("split", axis, x.shape.length);
  if (sizes.reduce((sum, n) => sum + n, 0) !== x.shape[at] || sizes.some((n) => n < 1)) {
    throw shapeError(
      "split",
      `positive sizes that add up to axis ${at} of ${show(x.shape)}`,
      show(sizes),
    );
  }
  if (sizes.length === 1) return [x];
  const parts = sizes.map((size) => ({
    shape: x.shape.map((n, i) => i === at ? size : n),
    dtype: x.dtype,
  }));
  const node = new Node(
    { kind: "split", axis: at },
    [x],
    parts,
    (gradients) => [concat(gradients.map((g, i) => g ?? zeros(parts[i].shape)), at)],
  );
  return [...node.outputs];
}

/** Cuts `axis` into n equal parts. */
export function chunk(x: Tensor, axis: number, n: number): Tensor[] {
  const at = normalizeAxis("chunk", axis, x.shape.length);
  const size = x.shape[at] / n;
  if (!Number.isInteger(size)) {
    throw shapeError("chunk", `axis ${at} divisible by ${n}`, show(x.shape));
  }
  return split(x, at, new Array<number>(n).fill(size));
}

/** The slices along `axis`, without that axis. */
export function unstack(x: Tensor, axis: number): Tensor[] {
  const at = normalizeAxis("unstack", axis, x.shape.length);
  return chunk(x, at, x.shape[at]).map((part) => squeeze(part, at));
}

/** The tensors one after another along `axis`; their other axes must agree. */
export function concat(xs: readonly Tensor[], axis: number): Tensor {
  if (xs.length === 0) throw shapeError("concat", "at least one tensor", "none");
  const [first] = xs;
  const at = normalizeAxis("concat", axis, first.shape.length);
  for (const x of xs) {
    requireRank("concat", "every tensor", x, first.shape.length);
    requireType("concat", "every tensor", x, first.dtype);
    if (!x.shape.every((n, i) => i === at || n === first.shape[i])) {
      throw shapeError(
        "concat",
        `shapes that differ only in axis ${at}`,
        `${show(first.shape)} and ${show(x.shape)}`,
      );
    }
  }
  if (xs.length === 1) return first;
  const sizes = xs.map((x) => x.shape[at]);
  const total = sizes.reduce((sum, n) => sum + n, 0);
  const shape = first.shape.map((n, i) => i === at ? total : n);
  return make(
    { kind: "concat", axis: at },
    xs,
    shape,
    (g) => split(g, at, sizes),
    first.dtype,
  );
}

/** Drops an axis of size 1. */
export function squeeze(x: Tensor, axis: number): Tensor {
  const at = normalizeAxis("squeeze", axis, x.shape.length);
  if (x.shape[at] !== 1) throw shapeError("squeeze", `axis ${at} of size 1`, show(x.shape));
  return reshape(x, x.shape.filter((_, i) => i !== at));
}

/** Adds an axis of size 1 at position `axis` of the result. */
export function unsqueeze(x: Tensor, axis: number): Tensor {
  const at = normalizeAxis("unsqueeze", axis, x.shape.length + 1);
  return reshape(x, [...x.shape.slice(0, at), 1, ...x.shape.slice(at)]);
}
