/**
 * Group, layer and root-mean-square normalisation.
 *
 * Forward is the moments (two passes, safe for a large mean) and an element-wise rest that fuses
 * with what follows. Backward is written by hand: it keeps x, mean and 1/std, recomputes the
 * normalised values, and needs one pass over the data for all sums and one for the result. What
 * there is one number of for many elements is stored as f32 in any case.
 *
 * @module
 */

import { reshape, sumTo } from "./broadcast.ts";
import { add, mul, rsqrt, square, sub } from "./elementwise.ts";
import { mean, moments, sum } from "./reduce.ts";
import { requireShape, shapeError, show } from "./shape.ts";
import { customGradient, sizeOf, type Tensor, withStorage } from "./tensor.ts";

/**
 * Normalises over the pixels and the channels of each group: x [N, ..., C] with C divisible by
 * `groups`; weight and bias [C]. (Wu & He 2018.)
 */
export function groupNorm(
  x: Tensor,
  groups: number,
  weight: Tensor,
  bias: Tensor,
  eps: number,
): Tensor {
  const channels = x.shape.at(-1) ?? 0;
  const perGroup = channels / groups;
  if (x.shape.length < 2 || !Number.isInteger(perGroup)) {
    throw shapeError("groupNorm", `x [N, ..., C] with C divisible by ${groups}`, show(x.shape));
  }
  requireShape("groupNorm", "weight", weight, [channels]);
  requireShape("groupNorm", "bias", bias, [channels]);
  const [n] = x.shape;
  const pixels = sizeOf(x.shape.slice(1, -1));
  const count = pixels * perGroup;
  const grouped = (t: Tensor) => reshape(t, [n, pixels, groups, perGroup]);
  const perChannel = (t: Tensor) => reshape(t, [1, 1, groups, perGroup]);

  const gamma = perChannel(weight);
  const { mean: center, rstd } = moments(grouped(x), [1, 3], eps);
  const normalized = () => mul(sub(grouped(x), center), rstd);
  const y = reshape(add(mul(normalized(), gamma), perChannel(bias)), x.shape);

  return customGradient(y, [x, weight, bias], (g) => {
    const dy = grouped(g);
    // Per sample and channel: everything else follows from these two sums over the pixels.
    const sumDy = sum(dy, 1, true);
    const sumDyX = sum(mul(dy, normalized()), 1, true);
    const [meanDx, meanDxX] = withStorage(
      "f32",
      () =>
        [sumDy, sumDyX].map((perChannel) => mul(sum(mul(perChannel, gamma), 3, true), 1 / count)),
    );
    const dx = mul(rstd, sub(mul(dy, gamma), add(meanDx, mul(normalized(), meanDxX))));
    return [
      reshape(dx, x.shape),
      reshape(sum(sumDyX, 0), [channels]),
      reshape(sum(sumDy, 0), [channels]),
    ];
  });
}

/** Normalises over the last axis; weight and bias have its size. (Ba et al. 2016.) */
export function layerNorm(x: Tensor, eps: number, weight?: Tensor, bias?: Tensor): Tensor {
  requireAffine("layerNorm", x, weight, bias);
  const { mean: center, rstd } = moments(x, -1, eps);
  const normalized = () => mul(sub(x, center), rstd);
  const scaled = weight ? mul(normalized(), weight) : normalized();
  const y = bias ? add(scaled, bias) : scaled;
  const inputs = [x, weight, bias].filter((t) => t !== undefined);

  return customGradient(y, inputs, (g) => {
    const dn = weight ? mul(g, weight) : g;
    const meanDx = mean(dn, -1, true);
    const meanDxX = mean(mul(dn, normalized()), -1, true);
    const gradients = [mul(rstd, sub(dn, add(meanDx, mul(normalized(), meanDxX))))];
    if (weight) gradients.push(sumTo(mul(g, normalized()), weight.shape));
    if (bias) gradients.push(sumTo(g, bias.shape));
    return gradients;
  });
}

/** x / sqrt(mean(x^2) + eps) over the last axis, times weight. (Zhang & Sennrich 2019.) */
export function rmsNorm(x: Tensor, eps: number, weight?: Tensor): Tensor {
  requireAffine("rmsNorm", x, weight);
  const meanSquare = mean(square(x), -1, true);
  const scale = withStorage("f32", () => rsqrt(add(meanSquare, eps)));
  const normalized = () => mul(x, scale);
  const y = weight ? mul(normalized(), weight) : normalized();

  return customGradient(y, weight ? [x, weight] : [x], (g) => {
    const dn = weight ? mul(g, weight) : g;
    const meanDxX = mean(mul(dn, normalized()), -1, true);
    const dx = mul(scale, sub(dn, mul(normalized(), meanDxX)));
    return weight ? [dx, sumTo(mul(g, normalized()), weight.shape)] : [dx];
  });
}

/** Checks the shapes of weight and bias against the last axis. */
function requireAffine(operation: string, x: Tensor, weight?: Tensor, bias?: Tensor): void {
  const width = x.shape.at(-1);
  if (width === undefined) throw shapeError(operation, "a tensor of rank 1 or more", "a scalar");
  if (weight) requireShape(operation, "weight", weight, [width]);
  if (bias) requireShape(operation, "bias", bias, [width]);
}
