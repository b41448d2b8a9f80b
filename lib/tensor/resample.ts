/**
 * Doubling and halving images with a separable filter, as the U-Nets of EDM and IMM do it
 * (`Conv2d` with `up`/`down` and `resample_filter` in the public networks).
 *
 * The operation, for a filter of even length L with taps f, and p = L/2 - 1, along each of H and W:
 *
 *     down:  y[o] = sum over k in 0..L-1 of f[k] x[2o + k - p]
 *     up:    y[o] = sum over k in 0..L-1 with o + p - k even of f[k] x[(o + p - k) / 2]
 *
 * where x outside its range is zero, and o runs over the output's size: floor(n/2) for `down`
 * (an odd last row has no output of its own), 2n for `up`, or 2n+1 where `up` is the gradient of a
 * `down` from an odd size. The taps stored in the node are the final ones: f sums to 1 for `down`
 * and to 2 for `up`. With equal taps and sizes each direction is the transpose of the other, which
 * is the whole gradient rule.
 *
 * @module
 */

import { requireRank, requireType, shapeError, show } from "./shape.ts";
import { make, type Shape, type Tensor } from "./tensor.ts";
import { pad, slice } from "./view.ts";

/** What happens at the border. */
export interface ResampleOptions {
  /**
   * How the official networks place the filter: "same" (default) gives exactly half or double the
   * size. "full" leaves out the padding, as their `fused_resample` does around a convolution: `up`
   * gives all 2n + L - 2 positions the filter touches, `down` only those wholly inside.
   */
  readonly border?: "same" | "full";
}

/** A number read by a resampling, and its weight. */
export interface ResampleTap {
  /** Where it reads. */
  readonly position: number;
  /** What it multiplies by. */
  readonly weight: number;
}

/** x [N,H,W,C] -> [N,2H,2W,C]; the filter ([1,1], [1,3,3,1]) is scaled to sum 2 per axis. */
export function resampleUp(
  x: Tensor,
  filter: readonly number[],
  { border = "same" }: ResampleOptions = {},
): Tensor {
  const taps = scaledTaps("resampleUp", x, filter, 2);
  const margin = filter.length / 2 - 1;
  const [n, h, w, c] = x.shape;
  if (border === "same" || margin === 0) return resample("up", x, taps, [n, 2 * h, 2 * w, c]);
  // Room for what the filter reaches beyond the border: `margin` positions on each side.
  const room = Math.ceil(margin / 2);
  const padded = pad(x, [0, room, room, 0], [n, h + 2 * room, w + 2 * room, c]);
  const [, H, W] = padded.shape;
  const skip = 2 * room - margin;
  return slice(
    resample("up", padded, taps, [n, 2 * H, 2 * W, c]),
    [0, skip, skip, 0],
    [n, 2 * (h + margin), 2 * (w + margin), c],
  );
}

/** x [N,H,W,C] -> [N,floor(H/2),floor(W/2),C]; the filter is scaled to sum 1 per axis. */
export function resampleDown(
  x: Tensor,
  filter: readonly number[],
  { border = "same" }: ResampleOptions = {},
): Tensor {
  const taps = scaledTaps("resampleDown", x, filter, 1);
  const margin = filter.length / 2 - 1;
  const half = (size: number) => Math.floor(size / 2);
  const [n, h, w, c] = x.shape;
  if (border === "same" || margin === 0) {
    return resample("down", x, taps, [n, half(h), half(w), c]);
  }
  if (h < filter.length || w < filter.length) {
    throw shapeError("resampleDown", `an image that holds ${filter.length} taps`, show(x.shape));
  }
  // Output o of the "full" border reads from 2o on: shift x so that this is a multiple of 2 away.
  const shift = margin % 2;
  const padded = pad(x, [0, shift, shift, 0], [n, h + shift, w + shift, c]);
  const [, H, W] = padded.shape;
  const skip = (margin + shift) / 2;
  return slice(
    resample("down", padded, taps, [n, half(H), half(W), c]),
    [0, skip, skip, 0],
    [n, half(h - filter.length) + 1, half(w - filter.length) + 1, c],
  );
}

/**
 * What output position `position` of one axis reads: positions inside an input of `size` elements,
 * in order, with their weights. The two axes of an image are independent: weights multiply.
 */
export function resampleTaps(
  direction: "up" | "down",
  taps: readonly number[],
  position: number,
  size: number,
): ResampleTap[] {
  const p = taps.length / 2 - 1;
  const found: ResampleTap[] = [];
  for (let k = 0; k < taps.length; k++) {
    const at = direction === "down" ? 2 * position + k - p : (position + p - k) / 2;
    if (Number.isInteger(at) && at >= 0 && at < size) found.push({ position: at, weight: taps[k] });
  }
  return found.sort((a, b) => a.position - b.position);
}

/** The node itself. */
function resample(
  direction: "up" | "down",
  x: Tensor,
  filter: readonly number[],
  shape: Shape,
): Tensor {
  const back = direction === "up" ? "down" : "up";
  return make(
    { kind: "resample", direction, filter },
    [x],
    shape,
    (g) => [resample(back, g, filter, x.shape)],
  );
}

function scaledTaps(
  operation: string,
  x: Tensor,
  filter: readonly number[],
  gain: number,
): number[] {
  requireRank(operation, "x [N, H, W, C]", x, 4);
  requireType(operation, "x", x, "f32");
  const total = filter.reduce((sum, f) => sum + f, 0);
  if (filter.length === 0 || filter.length % 2 === 1 || !(total > 0)) {
    throw shapeError(operation, "a filter of even length with a positive sum", show(filter));
  }
  return filter.map((f) => f * gain / total);
}
