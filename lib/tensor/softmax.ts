/**
 * Softmax and its logarithmic sum.
 *
 * @module
 */

import { reshape } from "./broadcast.ts";
import { add, div, exp, log, mul, sub } from "./elementwise.ts";
import { max, sum } from "./reduce.ts";
import { normalizeAxis } from "./shape.ts";
import { customGradient, type Tensor } from "./tensor.ts";
import { unsqueeze } from "./view.ts";

/** exp(x) divided by its sum along `axis`, safe for large x. */
export function softmax(x: Tensor, axis = -1): Tensor {
  const powers = exp(sub(x, max(x, axis, true)));
  const y = div(powers, sum(powers, axis, true));
  return customGradient(y, [x], (g) => [mul(y, sub(g, sum(mul(g, y), axis, true)))]);
}

/** log of the sum of exp(x) along `axis`, safe for large x. */
export function logSumExp(x: Tensor, axis = -1, keepDims = false): Tensor {
  const at = normalizeAxis("logSumExp", axis, x.shape.length);
  const largest = max(x, at, true);
  const kept = add(log(sum(exp(sub(x, largest)), at, true)), largest);
  const y = keepDims ? kept : reshape(kept, x.shape.filter((_, i) => i !== at));
  return customGradient(y, [x], (g) => {
    const wide = keepDims ? g : unsqueeze(g, at);
    return [mul(wide, exp(sub(x, kept)))];
  });
}
